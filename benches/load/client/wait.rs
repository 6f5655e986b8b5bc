//! Single questions, and waiting until a server's answers are as wanted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::connection::{Connection, Question};
use super::reply::Reply;
use super::{PATIENCE, POLL, runtime};

/// Questions that are open at once while many servers are waited for.
const AT_ONCE: usize = 64;
/// Attempts at one of them before another one's turn.
const ATTEMPTS: usize = 5;
/// How long one may take to answer.
const PATIENCE_OF_MANY: Duration = Duration::from_secs(1);
/// Pause between two attempts at one of them: short ones would take the processor from those that start.
const POLL_OF_MANY: Duration = Duration::from_millis(20);

/// The body of one answer, which is a good one.
pub fn answer(question: &Question) -> Vec<u8> {
    let reply = runtime().block_on(ask(question)).expect("a server that answers");
    assert!(
        question.accepts(&reply),
        "{}: {}",
        reply.status,
        String::from_utf8_lossy(&reply.body)
    );
    reply.body
}

async fn ask(question: &Question) -> Option<Reply> {
    let mut connection = Connection::open(question.address).await.ok()?;
    connection.ask(question).await.ok()
}

/// Returns when the page at the root has been answered with 200.
pub fn wait_for_200(address: SocketAddr) {
    wait_for_good(&Question::root(address), POLL);
}

/// Returns when a question has been answered with 200; asks it with so long a pause.
pub fn wait_for_good(question: &Question, pause: Duration) {
    wait(question, pause, |status| status == Some(Reply::OK));
}

/// Returns when `address` has answered, whatever it was.
pub fn wait_for_answer(address: SocketAddr) {
    wait(&Question::root(address), POLL, |status| status.is_some());
}

/// Returns when nothing listens on `address` any more.
pub fn wait_for_refusal(address: SocketAddr) {
    wait(&Question::root(address), POLL, |status| status.is_none());
}

fn wait(question: &Question, pause: Duration, done: impl Fn(Option<u16>) -> bool) {
    let runtime = runtime();
    let start = Instant::now();
    while !done(runtime.block_on(ask(question)).map(|reply| reply.status)) {
        assert!(
            start.elapsed() < PATIENCE,
            "{} did not change within {PATIENCE:?}",
            question.address
        );
        // The thread: the runtime's own timers are coarse.
        std::thread::sleep(pause);
    }
}

/// What many servers came to.
pub struct Answers {
    pub good: usize,
    /// Answers that were not good, and were asked for again.
    pub refused: usize,
    /// Until the last good one.
    pub within: Duration,
}

/// Asks each until it answers well, in turns of some attempts; nobody gets another turn after `patience` in all.
pub fn ask_all(questions: &[Question], patience: Duration) -> Answers {
    runtime().block_on(async {
        let start = Instant::now();
        let mut refused = 0;
        let mut within = Duration::ZERO;
        let mut pending: Vec<&Question> = questions.iter().collect();
        while !pending.is_empty() && start.elapsed() < patience {
            let turns = futures::stream::iter(&pending).map(|question| turn(question, start));
            let turns: Vec<Turn> = turns.buffered(AT_ONCE).collect().await;
            refused += turns.iter().map(|turn| turn.refused).sum::<usize>();
            let good = turns.iter().filter_map(|turn| turn.good_after);
            within = good.chain([within]).max().unwrap_or_default();
            let mut turns = turns.iter();
            pending.retain(|_| turns.next().is_some_and(|turn| turn.good_after.is_none()));
        }
        Answers {
            good: questions.len() - pending.len(),
            refused,
            within,
        }
    })
}

#[derive(Default)]
struct Turn {
    good_after: Option<Duration>,
    refused: usize,
}

async fn turn(question: &Question, start: Instant) -> Turn {
    let mut turn = Turn::default();
    for _ in 0..ATTEMPTS {
        match tokio::time::timeout(PATIENCE_OF_MANY, ask(question)).await {
            Ok(Some(reply)) if question.accepts(&reply) => {
                turn.good_after = Some(start.elapsed());
                return turn;
            }
            Ok(Some(_)) => turn.refused += 1,
            // Nobody listens yet.
            Ok(None) => {}
            // Others have waited.
            Err(_) => return turn,
        }
        tokio::time::sleep(POLL_OF_MANY).await;
    }
    turn
}

/// Returns when all have answered well, and how many answers before were not good.
pub fn wait_for_all(questions: &[Question]) -> usize {
    let answers = ask_all(questions, PATIENCE);
    assert_eq!(
        answers.good,
        questions.len(),
        "answers within {PATIENCE:?} from all"
    );
    answers.refused
}
