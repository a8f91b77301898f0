// What all pages need: their elements by id, the theme, keys, and what is packed in them.
const $ = (id) => document.getElementById(id);
const next = (list, x) => list[(list.indexOf(x) + 1) % list.length];

function theme(name) {
  for (const part of document.querySelectorAll("[data-theme]")) part.dataset.theme = name;
  $("theme").textContent = { light: "☀", dark: "☾", auto: "◐" }[name];
  $("theme").setAttribute("aria-label", "Theme: " + { light: "light", dark: "dark", auto: "as the system" }[name]);
}

const nextTheme = () => theme(next(["light", "dark", "auto"], document.documentElement.dataset.theme));

// What was packed with gzip and base64, as a Response.
function unpack(text) {
  const unpacking = new DecompressionStream("gzip"), writer = unpacking.writable.getWriter();
  writer.write(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  writer.close();
  return new Response(unpacking.readable);
}
