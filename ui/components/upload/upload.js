// Streams one file to our own route, with a progress bar and a way to stop. Streamlit's uploader would hold it in memory.
const running = new Map(); // args.key -> XMLHttpRequest

export default function (args) {
  const { parentElement, data, key, setTriggerValue } = args;
  const root = parentElement.querySelector(".upload");
  const input = root.querySelector("input");
  const bar = root.querySelector("progress");
  const words = root.querySelector(".words");
  const stop = root.querySelector("button.stop");
  const drop = root.querySelector("label.drop");

  const show = (text, isError) => {
    words.textContent = text;
    words.classList.toggle("error", Boolean(isError));
  };
  const idle = () => {
    bar.hidden = true;
    stop.hidden = true;
    input.disabled = false;
    input.value = "";
    running.delete(key);
  };
  const megabytes = (n) => (n / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 });

  const send = (file) => {
    if (running.has(key)) return;
    const request = new XMLHttpRequest();
    running.set(key, request);
    input.disabled = true;
    bar.hidden = false;
    stop.hidden = false;
    bar.max = Math.max(1, file.size);
    bar.value = 0;
    show(`Uploading ${file.name} …`);
    request.upload.onprogress = (event) => {
      bar.value = event.loaded;
      show(`Uploading ${file.name}: ${megabytes(event.loaded)} of ${megabytes(file.size)} MB`);
    };
    request.onload = () => {
      idle();
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = {};
      }
      if (request.status === 200) {
        show(`${file.name} is here.`);
        setTriggerValue("uploaded", { upload: answer.upload, name: file.name });
      } else {
        show(answer.error || `The server refused the file (${request.status}). Sign in again and retry.`, true);
      }
    };
    request.onerror = () => {
      idle();
      show("The connection broke off; nothing was stored. Choose the file again.", true);
    };
    request.onabort = () => {
      idle();
      show("Stopped; nothing was stored.");
    };
    request.open("PUT", `/api/uploads?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("X-Csrf-Token", data.csrf);
    request.send(file);
  };

  input.onchange = () => input.files.length && send(input.files[0]);
  stop.onclick = () => running.get(key)?.abort();
  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  };
}
