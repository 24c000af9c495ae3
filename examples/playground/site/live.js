// Follow the page, and send what the form says.
const read = (item, name) => item.querySelector(`[itemprop="${name}"]`);

export function follow() {
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  socket.onmessage = ({ data }) => {
    const item = new DOMParser().parseFromString(data, "text/html");
    const target = document.querySelector(read(item, "selector").textContent);
    if (target === null) return;
    const content = read(item, "content").innerHTML;
    switch (read(item, "method").textContent) {
      case "PUT": target.outerHTML = content; break;
      case "POST": target.insertAdjacentHTML("beforeend", content); break;
      case "DELETE": target.remove(); break;
    }
  };
  socket.onclose = () => setTimeout(() => location.reload(), 2000);
}

export function send(method, selector, body) {
  const headers = {
    Range: `selector=${encodeURIComponent(selector)}`,
    "Content-Type": "text/html",
  };
  return fetch(location.pathname, { method, headers, body });
}

follow();
const form = document.querySelector("#edit");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { method, selector, content } = Object.fromEntries(new FormData(form));
  const answer = await send(method, selector, method === "DELETE" ? undefined : content);
  form.elements.answer.value = `${answer.status} ${answer.statusText}`;
});
