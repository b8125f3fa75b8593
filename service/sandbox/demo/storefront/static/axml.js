// The part of AXML and ACSS that the demo's mini program uses, drawn by a browser.
//
// Templates: view, text, image, button, block; {{path}} and {{!path}}; a:if, a:elif, a:else, a:for (item, index); onTap.

const TAGS = { view: 'div', text: 'span', image: 'img', button: 'button' };
const SPACE = 'mini-program';

/** @param {string} source @returns {Element} */
export function parseTemplate(source) {
  const parsed = new DOMParser().parseFromString(`<root xmlns:a="${SPACE}">${source}</root>`, 'text/xml');
  const problem = parsed.querySelector('parsererror');
  if (problem) throw new Error(`the template cannot be read: ${problem.textContent}`);
  return parsed.documentElement;
}

/** ACSS as CSS: 750rpx are the screen's width. @param {string} source */
export const toCss = (source) => source.replace(/(-?[\d.]+)rpx/g, (_, n) => `calc(${n} * 100cqw / 750)`);

/** @param {string} path @param {any} scope */
function valueOf(path, scope) {
  const negated = path.startsWith('!');
  const value = path.replace(/^!/, '').trim().split('.').reduce((found, name) => found?.[name], scope);
  return negated ? !value : value;
}

/** @param {string} text @param {any} scope @returns {any} */
function filled(text, scope) {
  const whole = text.match(/^{{([^{}]+)}}$/);
  if (whole) return valueOf(whole[1].trim(), scope);
  return text.replace(/{{([^{}]+)}}/g, (_, path) => valueOf(path.trim(), scope) ?? '');
}

/**
 * What a template shows of the data.
 * @param {Element} template @param {any} scope @param {(src: string) => string} asset where an asset is
 * @returns {Node[]}
 */
export function render(template, scope, asset) {
  /** @type {Node[]} */
  const nodes = [];
  let answered = false;
  for (const child of template.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      const text = filled((child.textContent ?? '').replace(/\s+/g, ' '), scope);
      if (String(text ?? '').trim()) nodes.push(document.createTextNode(String(text)));
    } else if (child instanceof Element) {
      const named = ['if', 'elif', 'else'].find((name) => child.hasAttributeNS(SPACE, name));
      if (named) {
        const holds = named === 'else' || Boolean(filled(child.getAttributeNS(SPACE, named) ?? '', scope));
        const shown = named === 'if' ? holds : holds && !answered;
        answered = named === 'if' ? holds : answered || holds;
        if (!shown) continue;
      }
      nodes.push(...renderElement(child, scope, asset));
    }
  }
  return nodes;
}

/** @param {Element} element @param {any} scope @param {(src: string) => string} asset @returns {Node[]} */
function renderElement(element, scope, asset) {
  const list = element.getAttributeNS(SPACE, 'for');
  if (list) {
    const items = /** @type {any[]} */ (filled(list, scope) ?? []);
    return items.flatMap((item, index) => renderOne(element, { ...scope, item, index }, asset));
  }
  return renderOne(element, scope, asset);
}

/** @param {Element} element @param {any} scope @param {(src: string) => string} asset @returns {Node[]} */
function renderOne(element, scope, asset) {
  if (element.localName === 'block') return render(element, scope, asset);
  const node = document.createElement(TAGS[/** @type {keyof typeof TAGS} */ (element.localName)] ?? 'div');
  if (node instanceof HTMLButtonElement) node.type = 'button';
  for (const { name, value, namespaceURI } of element.attributes) {
    if (namespaceURI === SPACE) continue;
    const given = filled(value, scope);
    if (name === 'onTap') node.setAttribute('data-on-tap', value);
    else if (name === 'disabled') node.toggleAttribute('disabled', Boolean(given));
    else if (name === 'src') node.setAttribute('src', asset(String(given)));
    else node.setAttribute(name, String(given));
  }
  node.append(...render(element, scope, asset));
  return [node];
}

/**
 * Brings what is shown up to date, and touches nothing that stays: focus and scrolling are kept.
 * @param {Node} shown @param {Node[]} wanted its children to be
 */
export function update(shown, wanted) {
  const old = [...shown.childNodes];
  wanted.forEach((node, index) => {
    const before = old[index];
    if (!before) shown.appendChild(node);
    else if (before.nodeName !== node.nodeName) shown.replaceChild(node, before);
    else if (before instanceof Element && node instanceof Element) {
      for (const { name } of [...before.attributes]) if (!node.hasAttribute(name)) before.removeAttribute(name);
      for (const { name, value } of node.attributes) {
        if (before.getAttribute(name) !== value) before.setAttribute(name, value);
      }
      update(before, [...node.childNodes]);
    } else if (before.textContent !== node.textContent) before.textContent = node.textContent;
  });
  for (const extra of old.slice(wanted.length)) extra.remove();
}
