"use strict";

// Goes on with a task by itself. Without this the button does.
for (const form of document.querySelectorAll("form[data-goes-on]")) {
  const pause = document.createElement("button");
  const timer = setTimeout(() => form.submit(), 400);
  pause.type = "button";
  pause.className = "button";
  pause.textContent = form.dataset.goesOn;
  pause.addEventListener("click", () => {
    clearTimeout(timer);
    pause.remove();
  });
  form.querySelector(".submit-row").append(pause);
}

// Finds a client by its name, with the list that Django's own forms have. Without this its id is
// typed.
for (const form of document.querySelectorAll("form[data-finder]")) {
  const $ = window.django && window.django.jQuery;
  const field = form.querySelector("input[name=client]");
  if (!$ || !$.fn.select2 || field.value) continue;
  const list = document.createElement("select");
  const label = form.querySelector(`label[for="${field.id}"]`);
  list.id = `${field.id}-list`;
  list.lang = form.dataset.language;
  list.append(document.createElement("option"));
  field.hidden = true;
  field.disabled = true;
  label.htmlFor = list.id;
  label.textContent = form.dataset.prompt;
  field.after(list);
  $(list).select2({
    theme: "admin-autocomplete",
    width: "100%",
    ajax: {
      url: form.dataset.finder,
      delay: 250,
      data: ({ term, page }) => ({
        term,
        page,
        app_label: "delegation_app",
        model_name: "delegation",
        field_name: "delegate",
      }),
    },
  });
  // Without this it has no name until something is chosen
  label.id = `${list.id}-label`;
  const picked = $(list).data("select2").$selection;
  picked.attr("aria-labelledby", label.id);
  picked.find("[role=textbox]").attr("aria-labelledby", label.id);
  $(list).on("select2:select", () => {
    list.name = "client_key";
    form.submit();
  });
  form.querySelector("input[type=submit]").hidden = true;
}
