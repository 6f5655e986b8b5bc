//! One connection to a broker, and the task that drives it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, PubRel, Publish};
use rumqttc::mqttbytes::{self};
use rumqttc::{ConnectionError, QoS};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_rustls::TlsConnector;

use super::address::Target;
use super::error::Error;
use crate::net::{self, Outbound, Permit};

/// For name resolution, the connection, TLS and the login together; and for one packet to be written.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages that wait for their acknowledgement at a time.
const MAX_IN_FLIGHT: usize = 1000;
/// A broker has nothing long to say to a publisher.
const MAX_INCOMING: usize = 1 << 20;

/// A message, and who waits for it.
pub(super) struct Order {
    pub(super) message: Publish,
    pub(super) done: oneshot::Sender<Result<(), Error>>,
}

/// Connects, and gives back where to send messages to. The connection ends when nobody has that any more.
pub(super) async fn connect(
    outbound: &Outbound,
    target: &Target,
    permit: Permit,
) -> Result<mpsc::Sender<Order>, Error> {
    let connecting = async {
        let stream = outbound.connect(&target.host, target.port).await?;
        if !target.tls {
            return start(stream, target, permit).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::InvalidAddress)?;
        let stream = TlsConnector::from(net::tls_client_config())
            .connect(name, stream)
            .await?;
        start(stream, target, permit).await
    };
    timeout(NETWORK_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(ConnectionError::NetworkTimeout.into()))
}

async fn start<S>(stream: S, target: &Target, permit: Permit) -> Result<mpsc::Sender<Order>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, orders) = mpsc::channel(1);
    let keep_alive = Duration::from_secs(target.connect.keep_alive.into());
    let mut wire = Wire {
        stream,
        input: BytesMut::new(),
        orders,
        in_flight: HashMap::new(),
        last_id: 0,
        pings: pings(keep_alive),
        awaits_pong: false,
    };
    wire.log_in(target).await?;
    crate::tasks::spawn("mqtt connection", async move {
        let end = wire.run().await;
        if let Err(error) = end {
            tracing::debug!(?error, "an mqtt connection ended");
            wire.fail(&error);
        }
        drop(permit);
    });
    Ok(sender)
}

/// Somewhat before the broker would miss one.
fn pings(keep_alive: Duration) -> Option<Interval> {
    let period = keep_alive * 3 / 4;
    (!period.is_zero()).then(|| {
        let mut pings = interval_at(Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings
    })
}

struct Wire<S> {
    stream: S,
    input: BytesMut,
    orders: mpsc::Receiver<Order>,
    in_flight: HashMap<u16, oneshot::Sender<Result<(), Error>>>,
    last_id: u16,
    pings: Option<Interval>,
    awaits_pong: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn log_in(&mut self, target: &Target) -> Result<(), Error> {
        self.write(&Packet::Connect(target.connect.clone())).await?;
        loop {
            self.read().await?;
            match self.packet()? {
                Some(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => return Ok(()),
                Some(Packet::ConnAck(answer)) => {
                    return Err(ConnectionError::ConnectionRefused(answer.code).into());
                }
                Some(other) => return Err(ConnectionError::NotConnAck(other).into()),
                None => {}
            }
        }
    }

    /// Ends when nobody can send messages any more.
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let has_room = self.in_flight.len() < MAX_IN_FLIGHT;
            tokio::select! {
                read = read(&mut self.stream, &mut self.input) => {
                    read?;
                    while let Some(packet) = self.packet()? {
                        self.receive(packet).await?;
                    }
                }
                order = self.orders.recv(), if has_room => match order {
                    Some(order) => self.publish(order).await?,
                    None => {
                        // The broker gets by without it.
                        let _ = self.write(&Packet::Disconnect).await;
                        let _ = timeout(NETWORK_TIMEOUT, self.stream.shutdown()).await;
                        return Ok(());
                    }
                },
                () = tick(&mut self.pings) => self.ping().await?,
            }
        }
    }

    async fn publish(&mut self, order: Order) -> Result<(), Error> {
        let Order { mut message, done } = order;
        let acknowledged = message.qos != QoS::AtMostOnce;
        if acknowledged {
            message.pkid = self.next_id();
        }
        let id = message.pkid;
        if let Err(error) = self.write(&Packet::Publish(message)).await {
            // Nobody need wait.
            let _ = done.send(Err(error.clone()));
            return Err(error);
        }
        if acknowledged {
            self.in_flight.insert(id, done);
        } else {
            let _ = done.send(Ok(()));
        }
        Ok(())
    }

    async fn receive(&mut self, packet: Packet) -> Result<(), Error> {
        match packet {
            Packet::PubAck(answer) => self.acknowledge(answer.pkid),
            Packet::PubRec(answer) => return self.write(&Packet::PubRel(PubRel::new(answer.pkid))).await,
            Packet::PubComp(answer) => self.acknowledge(answer.pkid),
            Packet::PingResp => self.awaits_pong = false,
            // Nothing was subscribed to: left from a session of the same name.
            _ => {}
        }
        Ok(())
    }

    fn acknowledge(&mut self, id: u16) {
        if let Some(done) = self.in_flight.remove(&id) {
            // Nobody need wait.
            let _ = done.send(Ok(()));
        }
    }

    async fn ping(&mut self) -> Result<(), Error> {
        if self.awaits_pong {
            return Err(ConnectionError::NetworkTimeout.into());
        }
        self.awaits_pong = true;
        self.write(&Packet::PingReq).await
    }

    /// There are more ids than messages that may be in flight.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    async fn write(&mut self, packet: &Packet) -> Result<(), Error> {
        let mut output = BytesMut::with_capacity(packet.size());
        packet.write(&mut output, usize::MAX)?;
        let writing = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        match timeout(NETWORK_TIMEOUT, writing).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(ConnectionError::FlushTimeout.into()),
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        read(&mut self.stream, &mut self.input).await
    }

    /// The next packet, if all of it is there.
    fn packet(&mut self) -> Result<Option<Packet>, Error> {
        match Packet::read(&mut self.input, MAX_INCOMING) {
            Ok(packet) => Ok(Some(packet)),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn fail(&mut self, error: &Error) {
        for (_, done) in self.in_flight.drain() {
            // Nobody need wait.
            let _ = done.send(Err(error.clone()));
        }
    }
}

/// Nothing is lost when it is dropped.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> Result<(), Error> {
    if stream.read_buf(input).await? == 0 {
        let closed = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "connection closed by peer");
        return Err(closed.into());
    }
    Ok(())
}

/// Never, without a limit to the silence.
async fn tick(pings: &mut Option<Interval>) {
    match pings {
        Some(pings) => {
            pings.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::super::address::Login;
    use super::*;

    const OUTGOING: usize = 1 << 20;

    fn target() -> Target {
        let login = Login {
            username: "ada".into(),
            password: "secret".into(),
            keep_alive_secs: 4,
        };
        Target::parse("mqtt://broker?client_id=x", login).ok().unwrap()
    }

    /// What a broker reads and writes.
    struct Broker {
        stream: DuplexStream,
        input: BytesMut,
    }

    impl Broker {
        async fn next(&mut self) -> Packet {
            loop {
                match Packet::read(&mut self.input, OUTGOING) {
                    Ok(packet) => return packet,
                    Err(_) => read(&mut self.stream, &mut self.input).await.unwrap(),
                }
            }
        }

        async fn send(&mut self, packet: Packet) {
            let mut output = BytesMut::new();
            packet.write(&mut output, OUTGOING).unwrap();
            self.stream.write_all(&output).await.unwrap();
        }
    }

    async fn connected() -> (mpsc::Sender<Order>, Broker) {
        let permit = Outbound::default().permit(net::Kind::Mqtt).await.unwrap();
        let (near, far) = tokio::io::duplex(OUTGOING);
        let mut broker = Broker {
            stream: far,
            input: BytesMut::new(),
        };
        let target = target();
        let (sender, ()) = tokio::join!(start(near, &target, permit), async {
            assert!(matches!(broker.next().await, Packet::Connect(_)));
            let accepted = rumqttc::mqttbytes::v4::ConnAck::new(ConnectReturnCode::Success, false);
            broker.send(Packet::ConnAck(accepted)).await;
        });
        (sender.unwrap(), broker)
    }

    async fn order(sender: &mpsc::Sender<Order>, qos: QoS) -> oneshot::Receiver<Result<(), Error>> {
        let (done, reply) = oneshot::channel();
        let message = Publish::new("t", qos, "x");
        sender.send(Order { message, done }).await.ok().unwrap();
        reply
    }

    #[tokio::test]
    async fn each_message_waits_for_its_own_acknowledgement() {
        let (sender, mut broker) = connected().await;
        let mut first = order(&sender, QoS::AtLeastOnce).await;
        let second = order(&sender, QoS::AtLeastOnce).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            match broker.next().await {
                Packet::Publish(publish) => ids.push(publish.pkid),
                other => panic!("{other:?}"),
            }
        }
        broker
            .send(Packet::PubAck(rumqttc::mqttbytes::v4::PubAck::new(ids[1])))
            .await;
        assert_eq!(second.await.unwrap(), Ok(()));
        assert!(first.try_recv().is_err());
        broker
            .send(Packet::PubAck(rumqttc::mqttbytes::v4::PubAck::new(ids[0])))
            .await;
        assert_eq!(first.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_lost_connection_fails_what_was_not_acknowledged() {
        let (sender, mut broker) = connected().await;
        assert_eq!(order(&sender, QoS::AtMostOnce).await.await.unwrap(), Ok(()));
        let waiting = order(&sender, QoS::ExactlyOnce).await;
        broker.next().await;
        broker.next().await;
        drop(broker);
        assert!(matches!(waiting.await.unwrap(), Err(Error::ConnectionFailed(_))));
        sender.closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_answers_no_ping_is_lost() {
        let (sender, mut broker) = connected().await;
        assert_eq!(broker.next().await, Packet::PingReq);
        broker.send(Packet::PingResp).await;
        assert_eq!(broker.next().await, Packet::PingReq);
        sender.closed().await;
    }

    #[tokio::test]
    async fn who_leaves_says_so() {
        let (sender, mut broker) = connected().await;
        drop(sender);
        assert_eq!(broker.next().await, Packet::Disconnect);
    }
}
