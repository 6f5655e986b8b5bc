// Plots of what came in the last minutes, which the daemon keeps. The same figures without JavaScript are in traffic.rs.

/* global uPlot */

const HEIGHT = 132;
/** Between two lines of what there is no half of. */
const WHOLE_STEPS = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

const FIGURES = [
  {
    title: "Requests",
    scale: short,
    lines: [
      { name: "all", colour: "--blue", show: rate, of: ({ requests, seconds }) => requests / seconds },
      { name: "failed", colour: "--red", show: rate, of: ({ failed, seconds }) => failed / seconds },
    ],
  },
  {
    title: "In flight",
    scale: whole,
    steps: WHOLE_STEPS,
    lines: [{ name: "now", colour: "--violet", show: whole, of: ({ in_flight: inFlight }) => inFlight }],
  },
  {
    title: "Latency",
    scale: time,
    lines: [
      { name: "median", colour: "--blue", show: time, of: ({ median }) => median },
      { name: "p99", colour: "--amber", show: time, of: ({ p99 }) => p99 },
    ],
  },
];

/** The plots of one view. */
export class Plots {
  /** `path`: where the daemon answers with what came. */
  constructor(section, path) {
    this.section = section;
    this.path = path;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.figures?.forEach((figure) => figure.paint());
      this.draw();
    });
  }

  /** What is shown stays where there is no answer. */
  async refresh() {
    const answer = await fetch(this.path).catch(() => undefined);
    if (answer?.ok) {
      this.recent = await answer.json();
      this.draw();
    }
  }

  draw() {
    if (!this.recent) {
      return;
    }
    const { seconds, steps } = this.recent;
    if (!this.figures) {
      this.section.replaceChildren();
      this.figures = FIGURES.map((figure) => new Figure(this.section, seconds, figure));
    }
    this.figures.forEach((figure) => figure.draw(steps));
  }
}

class Figure {
  constructor(section, seconds, { title, scale, steps, lines }) {
    this.seconds = seconds;
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
        scales: { x: { range: () => this.range() }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] } },
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
            points: { show: false, size: 4, filter: alone },
          })),
        ],
        hooks: { setCursor: [() => this.tell()] },
      },
      [[], ...this.lines.map(() => [])],
      this.place,
    );
  }

  /** The last minutes, whatever of them is known; by the daemon's clock. */
  range() {
    const end = this.plot?.data[0].at(-1) ?? Date.now() / 1000;
    return [end - this.seconds, end];
  }

  draw(steps) {
    const times = steps.map(({ until }) => Date.parse(until) / 1000);
    this.plot.setData([times, ...this.lines.map(({ of }) => steps.map(of))]);
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

/** Places of values without a neighbour, which no line leads to. */
function alone(plot, line) {
  const values = plot.data[line];
  const isNone = (place) => values[place] === null || values[place] === undefined;
  return [...values.keys()].filter((place) => !isNone(place) && isNone(place - 1) && isNone(place + 1));
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function rate(value) {
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
