// Follow the page, write entries, and show what may be removed.
const read = (item, name) => item.querySelector(`[itemprop="${name}"]`);
const range = (selector) => ({
  Range: `selector=${encodeURIComponent(selector)}`,
  "Content-Type": "text/html",
});
const entries = () => document.querySelectorAll("#entries .entry");
let mayRemove = false;

function showButtons() {
  for (const entry of entries()) {
    if (!mayRemove || entry.querySelector("button")) continue;
    const button = document.createElement("button");
    button.textContent = "Remove";
    button.addEventListener("click", () => {
      const place = [...entries()].indexOf(entry) + 1;
      const headers = range(`#entries .entry:nth-child(${place})`);
      fetch("/", { method: "DELETE", headers });
    });
    entry.append(button);
  }
}

function follow() {
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  socket.onmessage = ({ data }) => {
    const item = new DOMParser().parseFromString(data, "text/html");
    const target = document.querySelector(read(item, "selector").textContent);
    if (read(item, "method").textContent === "DELETE") target?.remove();
    else target?.insertAdjacentHTML("beforeend", read(item, "content").innerHTML);
    showButtons();
  };
  socket.onclose = () => setTimeout(() => location.reload(), 2000);
}

document.querySelector("#write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, message } = Object.fromEntries(new FormData(event.target));
  const entry = document.createElement("li");
  entry.className = "entry";
  entry.append(document.createElement("b"), ": ", document.createElement("span"));
  entry.querySelector("b").textContent = name;
  entry.querySelector("span").textContent = message;
  await fetch("/", { method: "POST", headers: range("#entries"), body: entry.outerHTML });
  event.target.elements.message.value = "";
});

// What the server says this visitor may do decides what is shown.
const answer = await fetch("/", { method: "OPTIONS", headers: range("#entries .entry") });
mayRemove = answer.headers.get("Allow").includes("DELETE");
showButtons();
follow();
