// The loss of three classes over two logits, the third being 0; the right class is the first. A dark place has a low loss.
"use strict";

lessonFigures.drawings["loss-surface"] = (place) => {
  const lowest = -6;
  const span = 12;
  const range = { min: lowest, max: lowest + span, step: 0.1 };
  const right = lessonFigures.text("z1, right class", "z1, 정답 클래스");
  const one = lessonFigures.slider(place, right, { ...range, value: 2 }, () => update());
  const other = lessonFigures.slider(place, "z2", { ...range, value: 1 }, () => update());
  const twice = lessonFigures.checkbox(
    place,
    lessonFigures.text("softmax twice (the mistake)", "소프트맥스를 두 번 적용 (실수)"),
    () => update(),
  );
  const surface = lessonFigures.canvas(
    place,
    lessonFigures.text("loss by z1 (to the right) and z2 (upwards)", "z1(오른쪽)과 z2(위쪽)에 따른 손실"),
  );
  const value = lessonFigures.element(place, "p", { class: "lesson-value" });
  const loss = (a, b) => {
    const logits = [a, b, 0];
    return lessonFigures.crossEntropy(twice.checked ? lessonFigures.softmax(logits) : logits, 0);
  };
  const update = () => {
    surface.fill((x, y) => {
      const light = Math.min(1, loss(lowest + span * x, lowest + span * y) / 6);
      return [40 + 210 * light, 30 + 170 * light, 110 + 40 * light].map(Math.round);
    });
    surface.mark((Number(one.value) - lowest) / span, (Number(other.value) - lowest) / span, "#d55e00", 8);
    value.textContent = `${lessonFigures.text("loss", "손실")} ${loss(Number(one.value), Number(other.value)).toFixed(4)}`;
  };
  update();
};
