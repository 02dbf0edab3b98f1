// Logits divided by a temperature: near zero softmax is the maximum, far above one it is the uniform distribution.
"use strict";

lessonFigures.drawings.temperature = (place) => {
  const logits = place.dataset.logits.split(",").map(Number);
  const label = lessonFigures.text("temperature T", "온도 T");
  const input = lessonFigures.slider(place, label, { min: 0.1, max: 10, step: 0.1, value: 1 }, () => update());
  const show = lessonFigures.bars(place, logits.map((logit) => `z = ${logit}`));
  const entropy = lessonFigures.element(place, "p", { class: "lesson-value" });
  const update = () => {
    const p = lessonFigures.softmax(logits.map((logit) => logit / Number(input.value)));
    show(p);
    const nats = -p.reduce((sum, each) => sum + (each > 0 ? each * Math.log(each) : 0), 0);
    entropy.textContent = `${lessonFigures.text("entropy", "엔트로피")} ${nats.toFixed(4)}`;
  };
  update();
};
