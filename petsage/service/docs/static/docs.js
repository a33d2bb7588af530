// Starts Swagger UI. BaseLayout, not StandaloneLayout: that one sends the address of the document
// to a validator on another host.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
});

// The answer comes below the fold of a phone, so that the button seems to do nothing: go there.
let awaited = null;
document.addEventListener("click", (event) => {
  if (event.target.closest(".execute")) awaited = event.target.closest(".opblock");
});
new MutationObserver((mutations) => {
  const answer = awaited?.querySelector(".live-responses-table");
  if (!answer || !mutations.some(({ target }) => target.contains(answer) || answer.contains(target))) return;
  awaited = null;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  answer.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
}).observe(document.getElementById("swagger-ui"), { childList: true, characterData: true, subtree: true });
