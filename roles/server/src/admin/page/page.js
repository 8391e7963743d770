"use strict";

const form = document.getElementById("device");
const answer = document.getElementById("answer");
const devices = document.getElementById("devices");

async function ask(path, body) {
  const octets = body instanceof Uint8Array;
  const options = body && {
    method: "POST",
    headers: { "Content-Type": octets ? "application/octet-stream" : "application/json" },
    body: octets ? body : JSON.stringify(body),
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

// A picture is unpacked here, by whatever kinds of pictures this browser knows, and leaves it in shades of grey.
const largest = 1200;

function grey(picture) {
  const scale = Math.min(1, largest / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const paper = canvas.getContext("2d");
  paper.fillStyle = "white";
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const colours = paper.getImageData(0, 0, canvas.width, canvas.height).data;
  const dots = new Uint8Array(canvas.width * canvas.height);
  for (let dot = 0; dot < dots.length; dot++) {
    const [red, green, blue] = colours.subarray(4 * dot);
    dots[dot] = 0.299 * red + 0.587 * green + 0.114 * blue;
  }
  return { width: canvas.width, dots };
}

form.picture.addEventListener("change", async () => {
  const [picture] = form.picture.files;
  if (!picture) return;
  answer.textContent = "";
  try {
    const { width, dots } = grey(await createImageBitmap(picture));
    const read = await ask(`/v1/transfer/codes?width=${width}`, dots);
    const found = new Set(read.texts.filter((text) => text.startsWith("DPP:")));
    if (found.size !== 1) throw new Error("There is not the one code of a device in this picture.");
    [form.uri.value] = found;
    form.dataset.via = "qr";
  } catch (error) {
    answer.textContent = error.message;
  }
});
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
