"""The page for people who try the Twilio channel by hand: `make fake-twilio`, then http://127.0.0.1:9010."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fake Twilio</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem; color: #1d2733; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: 0 0 1rem; }
label { display: grid; font-size: .85rem; } input, select, button { font: inherit; padding: .35rem .5rem; max-width: 100%; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid #d5dce3;
vertical-align: top; overflow-wrap: anywhere; } .in { background: #eef5ff; } .lost { color: #a3262a; }
.scroll { overflow-x: auto; } output { display: block; min-height: 1.5rem; }
</style>
<h1>Fake Twilio</h1>
<p>What the app sends arrives here and nowhere else. Nothing on this page is the real Twilio.</p>
<form data-door="text-in"><label>From <input name="from" value="+13125550142" required></label>
<label>Text <input name="body" placeholder="JOIN" required></label><button>Write as this parent</button></form>
<form data-door="next"><label>The next call <select name="kind">
<option value="accept">is accepted</option><option value="refuse">is refused with a code</option>
<option value="fail_later">is accepted and fails later with a code</option><option value="too_many">is one too many (429)</option>
<option value="server_error">is answered 500</option><option value="page_of_a_proxy">meets a proxy's page</option>
<option value="close">is cut off</option><option value="hang">is never answered</option><option value="slow">is slow</option>
</select></label><label>Code <input name="code" inputmode="numeric" size="6" placeholder="21610"></label>
<label>Stored all the same <select name="stored"><option value="">no</option><option value="1">yes</option></select></label>
<button>Script it</button></form>
<form data-door="settings"><label>Callbacks come <select name="order"><option>in order</option><option>reversed</option>
<option>doubled</option><option>missing</option></select></label><button>Set</button></form>
<output></output>
<div class="scroll"><table><thead><tr><th>When<th>Phone<th>Text<th>Status</tr></thead><tbody></tbody></table></div>
<script>
const needs = { refuse: ["code"], fail_later: ["code"], server_error: ["stored"], page_of_a_proxy: ["stored"],
  close: ["stored"], hang: ["stored"] };
const post = (door, words) => fetch("/fake/" + door, { method: "POST", headers: { "Content-Type": "application/json" },
  body: JSON.stringify(words) }).then(answer => answer.json());
function order(form) {
  const words = Object.fromEntries(new FormData(form));
  if (form.dataset.door !== "next") return words;
  const asked = { kind: words.kind };
  for (const name of needs[words.kind] || []) asked[name] = name === "code" ? Number(words.code || 21610) : Boolean(words[name]);
  if (words.kind === "slow") asked.seconds = 5;
  return asked;
}
for (const form of document.forms) form.addEventListener("submit", async event => {
  event.preventDefault();
  document.querySelector("output").textContent = JSON.stringify(await post(form.dataset.door, order(form)));
  show();
});
async function show() {
  const texts = await (await fetch("/fake/texts")).json();
  const rows = texts.reverse().map(text => {
    const row = document.createElement("tr"), inbound = text.direction === "inbound";
    row.className = inbound ? "in" : ["failed", "undelivered", "canceled"].includes(text.status) ? "lost" : "";
    const status = text.status + (text.error_code ? " " + text.error_code : "");
    for (const words of [text.date_created, (inbound ? "from " + text.from : "to " + text.to), text.body, status])
      row.appendChild(document.createElement("td")).textContent = words;
    return row;
  });
  document.querySelector("tbody").replaceChildren(...rows);
}
show(); setInterval(show, 2000);
</script>
</html>
"""
