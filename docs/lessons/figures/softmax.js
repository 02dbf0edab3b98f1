// Sliders for logits, bars for their softmax. data-logits are the first values; data-fixed is how many of them stay.
"use strict";

lessonFigures.drawings.softmax = (place) => {
  const first = place.dataset.logits.split(",").map(Number);
  const fixed = Number(place.dataset.fixed || 0);
  const inputs = first.map((value, index) => {
    const label = index < fixed ? `z${index + 1} = ${value}` : `z${index + 1}`;
    if (index < fixed) {
      lessonFigures.element(place, "p", {}, label);
      return { value };
    }
    return lessonFigures.slider(place, label, { min: -6, max: 6, step: 0.1, value }, () => update());
  });
  const show = lessonFigures.bars(place, first.map((_, index) => `p${index + 1}`));
  const update = () => show(lessonFigures.softmax(inputs.map((input) => Number(input.value))));
  update();
};
