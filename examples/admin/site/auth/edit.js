// Add a row for each form, remove one for each button; the next request goes by it.
const TYPES = { "#users": "Credential", "#rules": "AuthorizationRule" };

function send(method, selector, body) {
  const headers = {
    Range: `selector=${encodeURIComponent(selector)}`,
    "Content-Type": "text/html",
  };
  return fetch(location.pathname, { method, headers, body });
}

function row(type, values) {
  const made = document.createElement("tr");
  made.setAttribute("itemscope", "");
  made.setAttribute("itemtype", `https://rustybeam.net/schema/${type}`);
  for (const [name, value] of values) {
    const cell = made.insertCell();
    cell.setAttribute("itemprop", name);
    cell.textContent = value;
  }
  made.insertCell().innerHTML = "<button>Remove</button>";
  return made.outerHTML;
}

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const place = form.dataset.into;
    const answer = await send("POST", place, row(TYPES[place], new FormData(form)));
    if (answer.ok) location.reload();
    else alert(`${answer.status} ${answer.statusText}`);
  });
}

document.addEventListener("click", async ({ target }) => {
  const removed = target.closest("tbody tr");
  if (removed === null || !target.matches("tbody button")) return;
  const place = [...removed.parentNode.children].indexOf(removed) + 1;
  const answer = await send("DELETE", `#${removed.parentNode.id} > tr:nth-child(${place})`);
  if (answer.ok) removed.remove();
});
