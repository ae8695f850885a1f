// Name, role and a POST-only way out.
export default function ({ parentElement, data }) {
  const who = parentElement.querySelector(".who");
  const role = document.createElement("small");
  role.textContent = data.role;
  who.textContent = data.name;
  who.append(" ", role);
  parentElement.querySelector("input[name=csrf]").value = data.csrf;
}
