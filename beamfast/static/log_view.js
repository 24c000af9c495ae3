// Show the lines of a log as they come. Nothing here is ever taken for HTML.
"use strict";

const LINES = 5000;
const SEVERITIES = ["critical", "error", "warning", "notice", "info", "debug"];

const find = (id) => document.getElementById(id);
const { url, logs } = document.documentElement.dataset;
const lines = find("lines");
let stream = null;

for (const name of logs.split(" ")) find("log").append(new Option(name));
for (const name of SEVERITIES) {
  const box = document.createElement("input");
  const label = document.createElement("label");
  box.type = "checkbox";
  box.name = name;
  box.checked = true;
  label.append(box, ` ${name} `);
  find("severities").append(label);
}

function query() {
  const asked = new URLSearchParams({ log: find("log").value });
  const shown = SEVERITIES.filter((name) => find("form").elements[name].checked);
  if (find("filter").value) asked.set("filter", find("filter").value);
  if (shown.length < SEVERITIES.length) asked.set("severity", shown.join(","));
  return asked;
}

function show(text) {
  const block = document.createElement("div");
  block.textContent = text;
  lines.append(block);
  while (lines.childElementCount > LINES) lines.firstElementChild.remove();
  if (find("follow").checked) scrollTo(0, document.body.scrollHeight);
}

// An event stream, because it comes back by itself and says what it has seen.
function open() {
  if (stream) stream.close();
  lines.replaceChildren();
  stream = new EventSource(`${url}/events?${query()}`);
  stream.onopen = () => { find("state").textContent = "connected"; };
  stream.onerror = () => { find("state").textContent = "reconnecting…"; };
  stream.onmessage = (event) => show(event.data);
}

find("form").onsubmit = (event) => event.preventDefault();
find("form").onchange = open;
find("clear").onclick = () => lines.replaceChildren();
find("stop").onclick = () => {
  stream.close();
  find("state").textContent = "stopped; reload to go on";
};
open();
