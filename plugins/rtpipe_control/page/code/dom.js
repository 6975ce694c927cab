// Making and changing elements. Text is always text: nothing here reads markup.

/** Make an element: h("button", { class: "btn", onclick }, "Say"). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set an attribute where it differs; null, undefined and false take it away. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== `${value === true ? "" : value}`) {
    element.setAttribute(name, value === true ? "" : value);
  }
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A custom property, by the CSSOM: the policy of the page allows no style in markup. */
export function prop(element, name, value) {
  element.style.setProperty(name, value);
}

/** Make `parent` hold an element for each of `items`, in order; those that stay are kept. */
export function each(parent, items, keyOf, make, change) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let element = old.get(key);
    if (element) {
      old.delete(key);
    } else {
      element = make(item);
      element.dataset.key = key;
    }
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
    change?.(element, item);
  }
  for (const gone of old.values()) gone.remove();
}

/** Remember a choice; where there is no storage, until the page is left. */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {}
}

export const narrow = matchMedia("(max-width: 1179px)");
export const calm = matchMedia("(prefers-reduced-motion: reduce)");
