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

  const told = data.words;
  const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  root.querySelector(".invitation").textContent = told.drop;
  root.querySelector("small").textContent = told.formats;
  root.querySelector(".choose").textContent = told.choose;
  stop.textContent = told.stop;

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

  const refused = (status, answer) => {
    if (status === 401) return answer.stored === false ? answer.error : told.signed_out;
    return answer.error || fill(told.refused, { status });
  };
  /** Asks first: a refusal that comes while a file is on its way would look like a broken connection. */
  const isWelcome = async (size) => {
    try {
      const response = await fetch(`/api/uploads?size=${size}`, { credentials: "same-origin", cache: "no-store" });
      if (response.ok) return true;
      show(refused(response.status, await response.json().catch(() => ({}))), true);
    } catch {
      show(told.offline, true);
    }
    return false;
  };

  const send = async (file) => {
    if (running.has(key)) return;
    running.set(key, { abort: () => null });
    show(fill(told.begins, { name: file.name }));
    if (!(await isWelcome(file.size))) {
      idle();
      return;
    }
    const request = new XMLHttpRequest();
    running.set(key, request);
    input.disabled = true;
    bar.hidden = false;
    stop.hidden = false;
    bar.max = Math.max(1, file.size);
    bar.value = 0;
    show(fill(told.begins, { name: file.name }));
    const begun = performance.now();
    request.upload.onprogress = (event) => {
      bar.value = event.loaded;
      const seconds = Math.max(0.2, (performance.now() - begun) / 1000);
      const left = Math.ceil((file.size - event.loaded) / (event.loaded / seconds));
      const time = left >= 60 ? fill(told.minutes, { count: Math.ceil(left / 60) }) : fill(told.seconds, { count: left });
      const values = { name: file.name, done: megabytes(event.loaded), size: megabytes(file.size), time };
      show(fill(event.loaded < file.size ? told.goes_on : told.stores, values));
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
        show(fill(told.here, { name: file.name }));
        setTriggerValue("uploaded", { upload: answer.upload, name: file.name });
      } else {
        show(refused(request.status, answer), true);
      }
    };
    request.onerror = async () => {
      idle();
      // A file that changes while it is read ends like this too.
      if (await isWelcome(file.size)) {
        show(told.broken, true);
      }
    };
    request.onabort = () => {
      idle();
      show(told.stopped);
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
