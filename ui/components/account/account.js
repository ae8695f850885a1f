// Name and role, the other languages, and a POST-only way out.
export default function ({ parentElement, data }) {
  const role = document.createElement("small");
  role.textContent = data.role;
  const who = parentElement.querySelector(".who");
  who.textContent = data.name;
  who.append(" ", role);
  const others = data.languages.map(({ code, tag, name }) => {
    const button = document.createElement("button");
    Object.assign(button, { name: "language", value: code, lang: tag, textContent: name });
    return button;
  });
  const languages = parentElement.querySelector(".languages");
  languages.replaceChildren(languages.querySelector("input"), ...others);
  for (const field of parentElement.querySelectorAll("input[name=csrf]")) field.value = data.csrf;
  parentElement.querySelector(".leave").textContent = data.words.leave;
  document.documentElement.lang = data.lang; // Streamlit's page says English, whatever stands on it
}
