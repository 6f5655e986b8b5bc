// Plots of what has happened from one sample to the next.

/* global uPlot */

/** Seconds that a plot shows. */
const SHOWN = 300;
const HEIGHT = 132;
/** Milliseconds without a sample, as while nobody looks, that are shown as a gap. */
const GAP = 15000;
/** Milliseconds between samples that say less than chance does. */
const LEAST = 500;
/** Between two lines of what there is no half of. */
const WHOLE_STEPS = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
/** A request of so many is slower than its share. */
const MEDIAN = 0.5;
const SLOWEST = 0.99;

const FIGURES = [
  {
    title: "Requests",
    scale: short,
    lines: [
      { name: "all", member: "requests", colour: "--blue", show: rate },
      { name: "failed", member: "failed", colour: "--red", show: rate },
    ],
  },
  {
    title: "In flight",
    scale: whole,
    steps: WHOLE_STEPS,
    lines: [{ name: "now", member: "inFlight", colour: "--violet", show: whole }],
  },
  {
    title: "Latency",
    scale: time,
    lines: [
      { name: "median", member: "median", colour: "--blue", show: time },
      { name: "p99", member: "slowest", colour: "--amber", show: time },
    ],
  },
];

/** The plots of one view. What they show outlives a reload. */
export class Plots {
  constructor(section, key) {
    this.key = `plots of ${key}`;
    this.points = recall(this.key);
    this.last = null;
    this.figures = FIGURES.map((figure) => new Figure(section, figure));
    section.hidden = false;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.figures.forEach((figure) => figure.paint());
      this.draw();
    });
    addEventListener("pagehide", () => sessionStorage.setItem(this.key, JSON.stringify(this.points)));
    this.draw();
  }

  /** `at`: milliseconds. */
  add(sample, at) {
    const last = this.last;
    if (last && at - last.at < LEAST) {
      return;
    }
    this.last = { sample, at };
    if (last && at - last.at > GAP) {
      this.points.push({ at: (last.at + at) / 2000 });
    } else if (last) {
      this.points.push(point(last, this.last));
    }
    this.points = this.points.filter((point) => point.at > at / 1000 - SHOWN);
    this.draw();
  }

  draw() {
    this.figures.forEach((figure) => figure.draw(this.points));
  }
}

class Figure {
  constructor(section, { title, scale, steps, lines }) {
    this.lines = lines;
    this.scale = scale;
    this.steps = steps;
    const figure = section.appendChild(document.createElement("figure"));
    const caption = figure.appendChild(document.createElement("figcaption"));
    caption.append(title);
    this.values = lines.map(({ name, colour }) => {
      const label = caption.appendChild(document.createElement("span"));
      label.className = "line";
      label.dataset.colour = colour;
      label.append(`${name} `);
      return label.appendChild(document.createElement("b"));
    });
    this.place = figure.appendChild(document.createElement("div"));
    this.place.className = "plot";
    this.paint();
    new ResizeObserver(() => this.plot.setSize({ width: this.width(), height: HEIGHT })).observe(this.place);
  }

  width() {
    return Math.max(this.place.clientWidth, 120);
  }

  /** With the colours of the moment. */
  paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), font: "11px system-ui", ticks: { show: false } };
    const grid = { stroke: colour("--line"), width: 1 };
    this.plot?.destroy();
    this.plot = new uPlot(
      {
        width: this.width(),
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 10, 0, 0],
        cursor: { drag: { x: false, y: false }, y: false },
        scales: { x: { range: span }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, size: 24, space: 70, values: (_, times) => times.map(clock) },
          {
            ...axis,
            grid,
            size: 56,
            space: 26,
            values: (_, values) => values.map(this.scale),
            ...(this.steps && { incrs: this.steps }),
          },
        ],
        series: [
          {},
          ...this.lines.map((line) => ({
            stroke: colour(line.colour),
            fill: `color-mix(in srgb, ${colour(line.colour)} 12%, transparent)`,
            width: 1.75,
            spanGaps: false,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [() => this.tell()] },
      },
      [[], ...this.lines.map(() => [])],
      this.place,
    );
  }

  draw(points) {
    const times = points.map((point) => point.at);
    this.plot.setData([times, ...this.lines.map(({ member }) => points.map((point) => point[member] ?? null))]);
    this.tell();
  }

  /** The values where the pointer is, or else the last ones. */
  tell() {
    const [times, ...values] = this.plot.data;
    const place = this.plot.cursor.idx ?? times.length - 1;
    this.lines.forEach(({ show }, line) => {
      const value = values[line][place];
      this.values[line].textContent = value === undefined || value === null ? "–" : show(value);
    });
  }
}

/** What has happened between two samples. */
function point(from, to) {
  const seconds = (to.at - from.at) / 1000;
  // Counters begin again with the process.
  const perSecond = (member) => Math.max(0, to.sample[member] - from.sample[member]) / seconds;
  const before = new Map(from.sample.durations.map(([bound, count]) => [bound, count]));
  const classes = to.sample.durations.map(([bound, count]) => [
    bound,
    Math.max(0, count - (before.get(bound) ?? 0)),
  ]);
  return {
    at: to.at / 1000,
    requests: perSecond("requests"),
    failed: perSecond("failed"),
    inFlight: to.sample.in_flight,
    median: quantile(classes, MEDIAN),
    slowest: quantile(classes, SLOWEST),
  };
}

/** As if durations were spread evenly in their class; seconds, `null` if there are none. */
function quantile(classes, share) {
  const all = classes.reduce((sum, [, count]) => sum + count, 0);
  if (all === 0) {
    return null;
  }
  let [left, low] = [share * all, 0];
  for (const [bound, count] of classes) {
    if (bound === null) {
      break;
    }
    if (left <= count) {
      return low + ((bound - low) * left) / count;
    }
    left -= count;
    low = bound;
  }
  return low;
}

function recall(key) {
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "[]");
  return kept.filter((point) => point.at > Date.now() / 1000 - SHOWN);
}

/** The last minutes, whatever of them is known. */
function span(plot) {
  const times = plot.data[0];
  const end = times.length > 0 ? times[times.length - 1] : Date.now() / 1000;
  return [end - SHOWN, end];
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function rate(value) {
  return `${short(value)}/s`;
}

function whole(value) {
  return Number.isInteger(value) ? value.toLocaleString() : "";
}

function time(seconds) {
  return seconds < 1 ? `${short(seconds * 1000)} ms` : `${short(seconds)} s`;
}

/** Two or three digits that count. */
function short(value) {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return Number(value.toFixed(digits)).toLocaleString();
}
