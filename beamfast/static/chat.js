// One room. What people write is text, and is never taken for HTML.
"use strict";

const LINES = 1000;

const find = (id) => document.getElementById(id);
const { url, format, naming, own, document: room, selector } =
  document.documentElement.dataset;
let socket = null;
let pause = 1000;

find("naming").hidden = naming !== "nick";
find("name").value = localStorage.getItem("name") || "";

function show(text, kind) {
  const line = document.createElement("li");
  line.textContent = text;
  line.className = kind;
  find("lines").append(line);
  while (find("lines").childElementCount > LINES) find("lines").firstElementChild.remove();
  line.scrollIntoView();
}

const told = {
  text: (data) => show(data, "theirs"),
  json: (data) => {
    const line = JSON.parse(data);
    const past = line.type === "message" || line.type === "history";
    show(past ? `${line.name}: ${line.text}` : `${line.name} ${line.type}s`, line.type);
  },
  // The room is a document: look at its list again, as text.
  "stream-item": () => load(),
};

async function load() {
  const answer = await fetch(room, { cache: "no-store" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  find("lines").replaceChildren();
  for (const line of page.querySelectorAll(`${selector} > *`)) show(line.textContent, "theirs");
}

function open() {
  const address = new URL(`${url}/connect`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  if (find("name").value) address.searchParams.set("name", find("name").value);
  socket = new WebSocket(address);
  socket.onopen = () => {
    pause = 1000;
    find("state").textContent = "connected";
    find("lines").replaceChildren();
    if (format === "stream-item") load();
  };
  socket.onmessage = (event) => told[format](event.data);
  socket.onclose = () => {
    find("state").textContent = "reconnecting…";
    // Not all at once, or the server that comes back is gone again.
    setTimeout(open, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, 30000);
  };
}

find("name").onchange = () => {
  localStorage.setItem("name", find("name").value);
  socket.close();
};
find("form").onsubmit = (event) => {
  event.preventDefault();
  const text = find("text").value;
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  // Unless it comes back from the server.
  if (own === "shown" && format !== "stream-item") show(text, "own");
  find("text").value = "";
};
open();
