"use strict";

const MOST_FIELDS = 40, MOST_LEVELS_TO_CHOOSE = 50, MOST_CLASSES = 10, MOST_COLUMNS = 8, MOST_PREVIEWED = 8;
const at = (id) => document.getElementById(id);
let token = "", card = null, asked = 0, address = null;

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)}\u00a0%`;
const cap = (share) => (share > 0.9995 && share < 1 ? ">\u00a099.9\u00a0%" : share > 0 && share < 0.0005 ? "<\u00a00.1\u00a0%" : percent(share));

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set("authorization", `Bearer ${token}`);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The service cannot be reached.");
  }
  if (answer.status === 401) {
    at("access").hidden = false;
    at("token").focus();
    throw new Error(token ? "The token is not valid." : "The service asks for a token.");
  }
  if (!answer.ok) {
    let message = `The service answered with status ${answer.status}.`;
    try { message = (await answer.json()).error.message; } catch { /* the status says enough */ }
    throw new Error(message);
  }
  return answer;
}

const predictPath = (query = "") => `models/${encodeURIComponent(card.name)}/predict${query}`;

/* The form of a row */

function field(column, number) {
  const id = `column-${number}`;
  const box = element("div", "", { class: "field" });
  const hint = element("span", hintOf(column), { class: "muted", id: `${id}-hint` });
  let input;
  if (column.type === "boolean" || (column.levels && column.levels.length <= MOST_LEVELS_TO_CHOOSE)) {
    input = element("select");
    const choices = column.type === "boolean" ? ["true", "false"] : column.levels;
    input.append(element("option", "(missing)", { value: "" }));
    choices.forEach((choice, index) => input.append(element("option", choice || "(empty)", { value: String(index + 1) })));
  } else if (column.levels) {
    input = element("input", "", { list: `${id}-levels`, autocomplete: "off" });
    const list = element("datalist", "", { id: `${id}-levels` });
    for (const level of column.levels.slice(0, 2000)) list.append(element("option", "", { value: level }));
    box.append(list);
  } else if (column.type === "number" && column.format === null) {
    input = element("input", "", { type: "number", step: "any", inputmode: "decimal" });
  } else if (isIso(column)) {
    input = element("input", "", { type: "date" });
  } else {
    input = element("input", "", { autocomplete: "off" });
  }
  input.id = id;
  input.setAttribute("aria-describedby", hint.id);
  input.addEventListener("input", () => { markRange(column, input, box, hint); later(); });
  const label = element("label", column.name, { for: id });
  box.prepend(label, input);
  box.append(hint);
  return { column, input, box, hint };
}

function hintOf(column) {
  const words = [];
  if (column.minimum !== null && column.maximum !== null && column.type !== "boolean") {
    words.push(`training: ${shown(column.minimum)} to ${shown(column.maximum)}`);
  } else if (column.levels && column.levels.length > MOST_LEVELS_TO_CHOOSE) {
    words.push(`${column.levels.length} values in training`);
  }
  if (column.format && !isIso(column)) words.push(`written as ${column.format}`);
  return words.join("; ");
}

const isIso = (column) => column.type === "date" && (column.format === null || column.format === "%Y-%m-%d");
const shown = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : value);

function markRange(column, input, box, hint) {
  const number = input.type === "number" && input.value !== "" ? Number(input.value) : null;
  const outside = number !== null && column.minimum !== null && (number < column.minimum || number > column.maximum);
  box.classList.toggle("outside", outside);
  hint.textContent = hintOf(column) + (outside ? " (this value is outside)" : "");
}

let fields = [];

function cellOf({ column, input }) {
  if (input.tagName === "SELECT") {
    if (input.value === "") return null;
    return column.type === "boolean" ? input.value === "1" : column.levels[Number(input.value) - 1];
  }
  if (input.value === "") return null;
  if (input.value === input.dataset.text) return Number(input.dataset.number);
  return input.type === "number" ? Number(input.value) : input.value;
}

/* A number in a column whose cells are texts, with the column's decimal mark; it is sent as the number that it is. */
function fillNumber(column, input, value) {
  const mark = /4(\D)5/.exec(column.format);
  input.dataset.number = String(value);
  input.dataset.text = mark ? String(value).replace(".", mark[1]) : String(value);
  input.value = input.dataset.text;
}

function fill(row) {
  for (const each of fields) {
    const value = row ? row[each.column.name] : null;
    if (each.input.tagName === "SELECT") {
      const place = each.column.type === "boolean" ? (value ? 0 : 1) : each.column.levels.indexOf(String(value));
      each.input.value = value === null || value === undefined || place < 0 ? "" : String(place + 1);
    } else if (typeof value === "number" && each.column.format) {
      fillNumber(each.column, each.input, value);
    } else {
      each.input.value = value === null || value === undefined ? "" : value;
    }
    markRange(each.column, each.input, each.box, each.hint);
  }
}

let timer = 0;
function later() {
  clearTimeout(timer);
  timer = setTimeout(predictRow, 250);
}

function predictRow() {
  clearTimeout(timer);
  const row = Object.fromEntries(fields.map((each) => [each.column.name, cellOf(each)]));
  predict(predictPath(card.explains ? "?explain=true" : ""), { "content-type": "application/json" }, JSON.stringify(row));
}

/* The prediction */

async function predict(path, headers, body) {
  const mine = ++asked;
  const place = at("answer");
  try {
    const answer = await (await ask(path, { method: "POST", headers, body })).json();
    if (mine === asked) place.replaceChildren(...predictionParts(answer));
  } catch (fault) {
    if (mine === asked) place.replaceChildren(element("p", fault.message, { class: "fault" }));
  }
}

function predictionParts(answer) {
  const ordered = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const top = ordered[0][1], shownTop = answer.abstained ? top : answer.probabilities[answer.class];
  const head = element("p", answer.abstained ? "No class: too uncertain" : answer.class, { class: "answer" });
  head.append(" ", element("span", cap(shownTop)));
  const parts = [head];
  if (answer.expected_cost !== undefined) parts.push(element("p", `Chosen by costs; the expected cost is ${shown(answer.expected_cost)}.`, { class: "muted" }));
  parts.push(reliability(top), bars(ordered.slice(0, MOST_CLASSES).map(([name, p]) => [name, p, cap(p)])));
  if (ordered.length > MOST_CLASSES) {
    const more = element("details", "", { class: "more" });
    more.append(element("summary", `${ordered.length - MOST_CLASSES} more classes`));
    more.append(bars(ordered.slice(MOST_CLASSES).map(([name, p]) => [name, p, cap(p)])));
    parts.push(more);
  }
  if (answer.notes.length) {
    const notes = element("ul", "", { class: "notes" });
    answer.notes.forEach((note) => notes.append(element("li", note)));
    parts.push(notes);
  }
  if (answer.explanation) parts.push(...explanationParts(answer.explanation));
  return parts;
}

function bars(entries, largest = 1, kind = "") {
  const list = element("ol", "", { class: `bars ${kind}` });
  for (const [name, value, text] of entries) {
    const line = element("li");
    const track = element("span", "", { class: "track", "aria-hidden": "true" });
    const bar = element("span", "", { class: "fill" });
    bar.style.width = `${(100 * Math.abs(value)) / largest}%`;
    track.append(bar);
    line.append(element("span", name, { class: "name", title: name }), track, element("span", text, { class: "number" }));
    list.append(line);
  }
  return list;
}

function reliability(top) {
  const words = element("p", "", { class: "muted" });
  const metrics = card.metrics;
  if (!metrics) {
    words.textContent = "No report of the training run is beside the model file, so it is not known how often such predictions are right.";
    return words;
  }
  const rows = metrics.test.rows;
  const known = metrics.answered.filter((each) => each.threshold <= top && each.accuracy !== null).pop();
  if (known) {
    const count = Math.round(known.coverage * rows);
    words.textContent = `Of ${count} test rows predicted with at least ${percent(known.threshold, 0)}, ${percent(known.accuracy)} were right.`;
  } else {
    words.textContent = `Of all ${rows} test rows, ${percent(metrics.test.accuracy)} were predicted right; few or none with so low a probability.`;
  }
  return words;
}

function explanationParts({ winner, runner_up, columns }) {
  const ordered = Object.entries(columns).filter((each) => each[1] !== 0).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const strongest = ordered.slice(0, MOST_COLUMNS);
  if (!strongest.length) return [];
  const largest = Math.abs(strongest[0][1]);
  const entries = (sign) => strongest.filter((each) => Math.sign(each[1]) === sign).map(([name, value]) => [name, value, value.toFixed(2).replace("-", "\u2212")]);
  const parts = [element("h3", `Columns that speak for ${winner}, not ${runner_up}`), bars(entries(1), largest)];
  if (entries(-1).length) parts.push(element("h3", `Columns that speak for ${runner_up}`), bars(entries(-1), largest, "against"));
  parts.push(element("p", "Contributions to the difference of the two logits before calibration.", { class: "muted" }));
  return parts;
}

/* Files */

function csvRows(text, most) {
  const rows = [[""]];
  let quoted = false;
  for (let place = 0; place < text.length && rows.length <= most + 1; place++) {
    const mark = text[place], row = rows[rows.length - 1];
    if (quoted) {
      if (mark === '"' && text[place + 1] === '"') { row[row.length - 1] += '"'; place++; }
      else if (mark === '"') quoted = false;
      else row[row.length - 1] += mark;
    } else if (mark === '"') quoted = true;
    else if (mark === ",") row.push("");
    else if (mark === "\n") rows.push([""]);
    else if (mark !== "\r") row[row.length - 1] += mark;
  }
  return rows.slice(0, most + 1).filter((row) => row.length > 1 || row[0] !== "");
}

function tableOf(rows) {
  const table = element("table"), head = element("tr"), box = element("div", "", { class: "scroll", tabindex: "0", role: "region", "aria-label": "First rows" });
  rows[0].forEach((name) => head.append(element("th", name, { scope: "col" })));
  table.append(head);
  for (const row of rows.slice(1)) {
    const line = element("tr");
    row.forEach((cell) => line.append(element("td", /^0\.\d{5,}/.test(cell) ? Number(cell).toFixed(4) : cell)));
    table.append(line);
  }
  box.append(table);
  return box;
}

async function predictFiles(files) {
  if (!files.length) return;
  const place = at("upload");
  place.replaceChildren(element("p", "Predicting.", { class: "muted" }));
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const options = { method: "POST", body: form, headers: { accept: "text/csv" } };
  try {
    if (card.schema.input.kind === "picture" && files.length === 1) {
      place.replaceChildren();
      show(files[0]);
      const type = files[0].type || "application/octet-stream";
      await predict(predictPath(), { "content-type": type }, files[0]);
      return;
    }
    const carry = card.schema.input.kind === "table" && !/\.(json|jsonl|ndjson)$/i.test(files[0].name);
    const text = await (await ask(predictPath(carry ? "?carry=*" : ""), options)).text();
    const rows = csvRows(text, Infinity), last = rows[0].indexOf("error");
    const failed = last < 0 ? 0 : rows.slice(1).filter((row) => row[last]).length;
    const words = `${rows.length - 1 - failed} rows predicted${failed ? `, ${failed} cannot be read` : ""}.`;
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = element("a", "Download the predictions (CSV)", { href: address, download: "predictions.csv", id: "download" });
    const line = element("p", `${words} `);
    line.append(link);
    place.replaceChildren(line, tableOf(orderedForReading(rows.slice(0, MOST_PREVIEWED + 1))));
  } catch (fault) {
    place.replaceChildren(element("p", fault.message, { class: "fault" }));
  }
}

/* The class stands first on the page; in the file it follows the columns of the table. */
function orderedForReading(rows) {
  const first = rows[0].lastIndexOf("class");
  return rows.map((row) => [...row.slice(first), ...row.slice(0, first)]);
}

function show(file) {
  const picture = element("img", "", { alt: `The file ${file.name}`, width: "160" });
  picture.src = URL.createObjectURL(file);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  at("upload").replaceChildren(picture);
}

/* The drawing pad */

function preparePad({ height, width }) {
  const canvas = at("canvas"), scale = Math.max(1, Math.round(320 / Math.max(height, width)));
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d"), isDark = card.mean_brightness < 0.5;
  const clear = () => {
    pen.fillStyle = isDark ? "#000" : "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
  };
  clear();
  let last = null;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const draw = (event) => {
    if (!last) return;
    const next = point(event);
    pen.strokeStyle = isDark ? "#fff" : "#000";
    pen.lineWidth = canvas.width * 0.075;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(...next);
    pen.stroke();
    last = next;
  };
  const predictDrawing = () => canvas.toBlob((blob) => predict(predictPath(), { "content-type": "image/png" }, blob), "image/png");
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); last = point(event); draw(event); };
  canvas.onpointermove = draw;
  canvas.onpointerup = canvas.onpointercancel = () => { if (last) predictDrawing(); last = null; };
  at("clear-drawing").onclick = () => { clear(); asked++; at("answer").replaceChildren(element("p", "Nothing is predicted yet.", { class: "muted" })); };
}

/* The model */

function about() {
  const rows = `${card.schema.rows_train.toLocaleString("en")} training rows of ${card.schema.trained_on}`;
  const metrics = card.metrics && (card.metrics.cross_validated || card.metrics.test);
  if (!metrics) return `${card.schema.network} model, ${rows}.`;
  const [low, high] = metrics.accuracy_interval;
  const how = card.metrics.cross_validated ? "cross-validated" : `${metrics.rows} test rows`;
  return `${card.schema.network} model, ${rows}. Accuracy ${percent(metrics.accuracy)} (${how}; 95 % interval ${percent(low)} to ${percent(high)}).`;
}

async function openModel(name) {
  clearTimeout(timer);
  asked++; // an answer of the model before is not shown
  card = await (await ask(`models/${encodeURIComponent(name)}`)).json();
  document.title = `${card.name} · polylogit`;
  at("title").textContent = `${card.schema.target}: ${card.name}`;
  at("about").textContent = about();
  at("digest").textContent = card.digest ? `Model ${card.digest.slice(0, 12)}, polylogit ${card.polylogit_version}` : "";
  const isTable = card.schema.input.kind === "table";
  at("row").hidden = !isTable;
  at("drawing").hidden = isTable || card.schema.input.channels !== 1;
  at("file").value = "";
  at("file").multiple = !isTable;
  at("file").accept = isTable ? ".csv,.tsv,.parquet,.arrow,.jsonl,.ndjson" : "image/*";
  at("file-label").textContent = isTable ? "Choose a table (CSV, Parquet, ...) or drop it here" : "Choose pictures or drop them here";
  at("upload-title").textContent = isTable ? "Many rows from a file" : "Picture files";
  at("answer").replaceChildren(element("p", "Nothing is predicted yet.", { class: "muted" }));
  at("upload").replaceChildren();
  at("work").hidden = false;
  if (isTable) {
    fields = card.schema.input.columns.map(field);
    at("fields").replaceChildren(...fields.slice(0, MOST_FIELDS).map((each) => each.box));
    at("more-fields").replaceChildren(...fields.slice(MOST_FIELDS).map((each) => each.box));
    at("more").hidden = fields.length <= MOST_FIELDS;
    at("more-title").textContent = `${fields.length - MOST_FIELDS} more columns`;
    fill(card.example);
    predictRow();
  } else if (card.schema.input.channels === 1) {
    preparePad(card.schema.input);
  }
}

async function start() {
  try {
    const { models } = await (await ask("models")).json();
    at("access").hidden = true;
    at("choice").hidden = models.length < 2;
    at("model").replaceChildren(...models.map((name) => element("option", name, { value: name })));
    await openModel(models[0]);
  } catch (fault) {
    at("about").textContent = fault.message;
  }
}

at("access").addEventListener("submit", (event) => { event.preventDefault(); token = at("token").value.trim(); start(); });
at("model").addEventListener("change", () => openModel(at("model").value).catch((fault) => { at("about").textContent = fault.message; }));
at("row").addEventListener("submit", (event) => { event.preventDefault(); predictRow(); at("result").focus(); });
at("example").addEventListener("click", () => { fill(card.example); predictRow(); });
at("clear-row").addEventListener("click", () => { fill(null); predictRow(); });
at("file").addEventListener("change", () => predictFiles([...at("file").files]));
const drop = at("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); predictFiles([...event.dataTransfer.files]); });
start();
