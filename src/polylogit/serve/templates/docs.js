"use strict";

const at = (id) => document.getElementById(id);
let token = "";

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function table(heads, rows) {
  const made = element("table"), head = element("tr");
  heads.forEach((name) => head.append(element("th", name, { scope: "col" })));
  made.append(head);
  for (const cells of rows) {
    const line = element("tr");
    cells.forEach((cell, index) => {
      const place = element("td");
      place.append(index ? cell : element("code", cell));
      line.append(place);
    });
    made.append(line);
  }
  const box = element("div", "", { class: "scroll" });
  box.append(made);
  return box;
}

const base = new URL("./", location.href).href.replace(/\/$/, "");
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function command(method, path, content, needsToken) {
  const words = [`curl ${quoted(base + path)}`];
  if (needsToken) words.push("-H 'Authorization: Bearer TOKEN'");
  const json = content && content["application/json"];
  if (json) {
    const example = json.examples ? Object.values(json.examples)[0].value : {};
    words.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(example))}`);
  } else if (content) {
    words.push("-H 'Content-Type: image/png'", "--data-binary @picture.png");
  }
  return words.join(" \\\n  ");
}

function operation(method, path, described, needsToken) {
  const section = element("section", "", { class: "operation" });
  const head = element("h2");
  head.append(element("span", method.toUpperCase(), { class: "method" }), element("code", path));
  section.append(head, element("p", described.summary));
  if (described.parameters && described.parameters.length) {
    section.append(element("h3", "Parameters"), table(["name", "in", "meaning"], described.parameters.map((each) => [each.name, each.in, each.description || ""])));
  }
  const content = described.requestBody && described.requestBody.content;
  if (content) {
    section.append(element("h3", "Body"), table(["media type"], Object.keys(content).map((name) => [name])));
  }
  const needs = needsToken && !(described.security && described.security.length === 0);
  section.append(element("h3", "Example"), element("pre", command(method, path, content, needs)));
  const answers = Object.entries(described.responses).map(([status, each]) => [status, each.description]);
  section.append(element("h3", "Answers"), table(["status", "meaning"], answers));
  return section;
}

async function start() {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch("openapi.json", { headers });
  at("access").hidden = answer.status !== 401;
  if (!answer.ok) {
    at("about").textContent = answer.status === 401 ? "The service asks for a token." : `The service answered with status ${answer.status}.`;
    return;
  }
  const described = await answer.json();
  at("title").textContent = `API of ${described.info.title}`;
  at("about").textContent = `${described.info.summary} polylogit ${described.info.version}, OpenAPI ${described.openapi}. The Open Inference Protocol v2 is answered under /v2.`;
  const needsToken = Boolean(described.security);
  const sections = Object.entries(described.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => operation(method, path, each, needsToken)));
  at("operations").replaceChildren(...sections);
}

at("access").addEventListener("submit", (event) => { event.preventDefault(); token = at("token").value.trim(); start(); });
start().catch(() => { at("about").textContent = "The service cannot be reached."; });
