// The search of a site that is opened from files: browsers refuse a Worker there, so its script runs in a hidden frame.
// mkdocs-material names this after its part of the same purpose, "iframe-worker", which it would load from another host.
if (location.protocol === "file:") {
  // The search script looks for a parent window with this name, and then loads its languages by whole addresses.
  window.IFrameWorker = class extends EventTarget {
    constructor(script) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.loaded = new Promise((resolve) => {
        frame.onload = () => {
          const inside = frame.contentWindow;
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          inside.importScripts = async (...addresses) => {
            for (const address of addresses) await load(frame.contentDocument, address);
          };
          load(frame.contentDocument, script).then(() => resolve(inside));
        };
      });
      document.documentElement.append(frame);
    }

    postMessage(data) {
      this.loaded.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
  window.Worker = window.IFrameWorker;
}

function load(page, address) {
  return new Promise((resolve, reject) => {
    const script = page.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = reject;
    page.head.append(script);
  });
}
