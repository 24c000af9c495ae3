// Send what is typed, show what comes back.
"use strict";

const find = (id) => document.getElementById(id);
const url = document.documentElement.dataset.url;
const socket = new WebSocket(new URL(url, location.href).href.replace(/^http/, "ws"));

socket.onopen = () => { find("state").textContent = "connected"; };
socket.onclose = (event) => { find("state").textContent = `closed (${event.code})`; };
socket.onmessage = (event) => {
  const line = document.createElement("li");
  line.textContent = event.data;
  find("answers").append(line);
};
find("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(find("text").value);
  find("text").value = "";
};
