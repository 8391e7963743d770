"use strict";

const form = document.getElementById("device");
const answer = document.getElementById("answer");
const devices = document.getElementById("devices");

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const said = await response.json();
  if (!response.ok) throw new Error(said.error || response.status);
  return said;
}

async function show() {
  const page = await ask("/v1/transfer/devices?limit=100");
  const lines = page.items.map((device) => {
    const line = document.createElement("li");
    line.textContent = [device.serial_number || device.bootstrap_hash, device.model].filter(Boolean).join(", ");
    return line;
  });
  devices.replaceChildren(...lines);
}

// The browser reads the picture, where it can; it does not leave this machine.
if ("BarcodeDetector" in window) {
  document.getElementById("camera").hidden = false;
  form.picture.addEventListener("change", async () => {
    const [picture] = form.picture.files;
    if (!picture) return;
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    const codes = await detector.detect(await createImageBitmap(picture));
    const found = codes.map((code) => code.rawValue).filter((text) => text.startsWith("DPP:"));
    answer.textContent = found.length === 1 ? "" : "There is not the one code of a device in this picture.";
    if (found.length === 1) form.uri.value = found[0];
    form.dataset.via = "qr";
  });
}
form.uri.addEventListener("input", () => delete form.dataset.via);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const device = { dppUri: form.uri.value.trim() };
  for (const name of ["serialNumber", "model"]) {
    if (form[name].value) device[name] = form[name].value.trim();
  }
  try {
    const added = await ask("/v1/transfer/devices", { via: form.dataset.via || "uri", devices: [device] });
    if (added.failed.length) throw new Error(added.failed[0].error);
    answer.textContent = "It is in the book, and may come.";
    form.reset();
    await show();
  } catch (error) {
    answer.textContent = error.message;
  }
});

show().catch((error) => (answer.textContent = error.message));
