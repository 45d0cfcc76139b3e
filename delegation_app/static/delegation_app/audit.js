// Buttons that copy a text. Without scripts they stay hidden, and the text can still be selected.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      source.select();
      try {
        await navigator.clipboard.writeText(source.value);
      } catch {
        // No permission, or not a secure context
        document.execCommand("copy");
      }
      button.textContent = button.dataset.copied;
    });
  }
});
