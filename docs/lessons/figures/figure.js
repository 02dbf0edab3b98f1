// The parts that the interactive figures of the lessons share: mathematics, sliders, and the start of each figure.
//
// A page has <div class="lesson-figure" data-figure="softmax">; each file beside this one adds the function that draws
// the figure of one name. No library and no request: the figures work wherever the page does.
"use strict";

const lessonFigures = {
  drawings: {},
  korean: document.documentElement.lang === "ko",

  /** The text in the language of the page. */
  text(english, korean) {
    return this.korean ? korean : english;
  },

  softmax(logits) {
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  },

  /** Cross-entropy of logits for one row, in nats. */
  crossEntropy(logits, target) {
    return -Math.log(this.softmax(logits)[target]);
  },

  element(parent, tag, attributes = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    parent.append(made);
    return made;
  },

  /** A labelled slider that shows its value; the browser gives it keys and touch. */
  slider(parent, label, { min, max, step, value }, changed) {
    const line = this.element(parent, "label", { class: "lesson-slider" });
    this.element(line, "span", {}, label);
    const input = this.element(line, "input", { type: "range", min, max, step, value });
    const shown = this.element(line, "output");
    const digits = (String(step).split(".")[1] || "").length;
    const show = () => {
      shown.textContent = Number(input.value).toFixed(digits);
    };
    input.addEventListener("input", () => {
      show();
      changed();
    });
    show();
    return input;
  },

  checkbox(parent, label, changed) {
    const line = this.element(parent, "label", { class: "lesson-check" });
    const input = this.element(line, "input", { type: "checkbox" });
    this.element(line, "span", {}, label);
    input.addEventListener("change", changed);
    return input;
  },

  /** Bars of probabilities; the function that is returned sets them. */
  bars(parent, names) {
    const box = this.element(parent, "div", { class: "lesson-bars" });
    const bars = names.map((name, index) => {
      this.element(box, "span", {}, name);
      const track = this.element(box, "span", { class: "lesson-track" });
      const bar = this.element(track, "span", { class: `lesson-bar lesson-class-${index % 3}` });
      return [bar, this.element(box, "output")];
    });
    return (probabilities) => {
      bars.forEach(([bar, shown], index) => {
        bar.style.width = `${100 * probabilities[index]}%`;
        shown.textContent = probabilities[index].toFixed(4);
      });
    };
  },

  /** A square canvas whose pixels are coloured by a function of (x, y), each from 0 to 1; (0, 0) is at the bottom left. */
  canvas(parent, label, pixels = 240) {
    const canvas = this.element(parent, "canvas", { width: pixels, height: pixels, role: "img", "aria-label": label });
    this.element(parent, "p", { class: "lesson-value", "aria-hidden": "true" }, label);
    const context = canvas.getContext("2d");
    const fill = (colour) => {
      const image = context.createImageData(pixels, pixels);
      for (let row = 0; row < pixels; row += 1) {
        for (let column = 0; column < pixels; column += 1) {
          const rgb = colour((column + 0.5) / pixels, 1 - (row + 0.5) / pixels);
          image.data.set([...rgb, 255], 4 * (row * pixels + column));
        }
      }
      context.putImageData(image, 0, 0);
    };
    const mark = (x, y, fillStyle, radius = 6) => {
      context.beginPath();
      context.arc(x * pixels, (1 - y) * pixels, radius, 0, 2 * Math.PI);
      context.fillStyle = fillStyle;
      context.strokeStyle = "#fff";
      context.fill();
      context.stroke();
    };
    return { canvas, fill, mark };
  },

  start() {
    for (const place of document.querySelectorAll(".lesson-figure[data-figure]")) {
      place.textContent = "";
      this.drawings[place.dataset.figure](place);
    }
  },
};

/** Colours of three classes that differ for people with any colour vision (Okabe and Ito). */
lessonFigures.colours = [
  [0, 114, 178],
  [230, 159, 0],
  [0, 158, 115],
];

document.addEventListener("DOMContentLoaded", () => lessonFigures.start());
