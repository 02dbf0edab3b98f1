// The eight rows by two of their four features, and the classes that softmax regression gives to each place after some
// epochs of gradient descent from zeros: all rows in each step, learning rate 0.1, with biases.
"use strict";

lessonFigures.drawings["decision-regions"] = (place) => {
  const rows = [
    [2, 1, 2], [1, 2, 2], [1, 4, 2], [1, 5, 1], [7, 5, 1], [2, 6, 1], [6, 6, 0], [7, 7, 0],
  ]; // the second and the fourth feature, and the class
  const span = 8;
  const label = lessonFigures.text("epochs", "에포크");
  const epochs = lessonFigures.slider(place, label, { min: 0, max: 2000, step: 10, value: 100 }, () => update());
  const twice = lessonFigures.checkbox(
    place,
    lessonFigures.text("train with softmax twice (the mistake)", "소프트맥스를 두 번 적용해 학습 (실수)"),
    () => update(),
  );
  const regions = lessonFigures.canvas(
    place,
    lessonFigures.text("classes by the second and the fourth feature", "두 번째와 네 번째 특성에 따른 클래스"),
  );
  const value = lessonFigures.element(place, "p", { class: "lesson-value" });

  const logitsOf = (weights, x, y) => weights.map(([a, b, bias]) => a * x + b * y + bias);

  /** Gradient of one row's loss by its logits. */
  const gradientOf = (logits, target) => {
    const p = lessonFigures.softmax(logits);
    if (!twice.checked) return p.map((each, index) => each - (index === target ? 1 : 0));
    const q = lessonFigures.softmax(p).map((each, index) => each - (index === target ? 1 : 0));
    const mean = p.reduce((sum, each, index) => sum + each * q[index], 0);
    return p.map((each, index) => each * (q[index] - mean));
  };

  const fitted = (steps) => {
    const weights = [0, 1, 2].map(() => [0, 0, 0]);
    for (let step = 0; step < steps; step += 1) {
      const sums = [0, 1, 2].map(() => [0, 0, 0]);
      for (const [x, y, target] of rows) {
        gradientOf(logitsOf(weights, x, y), target).forEach((slope, index) => {
          [x, y, 1].forEach((feature, place_) => {
            sums[index][place_] += slope * feature;
          });
        });
      }
      weights.forEach((weight, index) => {
        weight.forEach((_, place_) => {
          weight[place_] -= (0.1 / rows.length) * sums[index][place_];
        });
      });
    }
    return weights;
  };

  const update = () => {
    const weights = fitted(Number(epochs.value));
    regions.fill((x, y) => {
      const p = lessonFigures.softmax(logitsOf(weights, span * x, span * y));
      return [0, 1, 2].map((channel) =>
        Math.round(p.reduce((sum, each, index) => sum + each * (128 + lessonFigures.colours[index][channel] / 2), 0)),
      );
    });
    let loss = 0;
    let right = 0;
    for (const [x, y, target] of rows) {
      const logits = logitsOf(weights, x, y);
      loss += lessonFigures.crossEntropy(logits, target) / rows.length;
      right += logits.every((logit, index) => index === target || logit < logits[target]) ? 1 : 0;
      regions.mark(x / span, y / span, `rgb(${lessonFigures.colours[target].join(",")})`);
    }
    const names = lessonFigures.text(["cross-entropy", "rows right"], ["크로스 엔트로피", "맞힌 행"]);
    value.textContent = `${names[0]} ${loss.toFixed(4)}, ${names[1]} ${right}/${rows.length}`;
  };
  update();
};
