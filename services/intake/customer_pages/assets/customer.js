// The pages work without this; with it, chosen photos are shown before they are sent, and a form is sent once.
"use strict";

for (const field of document.querySelectorAll("[data-photos]")) {
  field.addEventListener("change", () => {
    const room = field.parentElement.querySelector(".previews");
    for (const old of room.querySelectorAll("img")) URL.revokeObjectURL(old.src);
    room.replaceChildren(...[...field.files].map((file) => {
      const picture = document.createElement("img");
      picture.src = URL.createObjectURL(file);
      picture.alt = file.name;
      return picture;
    }));
  });
}

for (const form of document.querySelectorAll("[data-once]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button[type=submit]");
    setTimeout(() => { button.disabled = true; }, 0);
  });
}
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false; });
