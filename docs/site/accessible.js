// What the theme leaves out: blocks that scroll can be scrolled by key on every device, and the search has a name for
// screen readers. The theme wraps tables, and takes blocks out of the order of keys where nothing hovers, after this.
{
  const reach = () => {
    for (const block of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
      if (block.tabIndex !== 0) block.tabIndex = 0;
    }
  };
  const changes = { subtree: true, childList: true, attributes: true, attributeFilter: ["tabindex"] };
  new MutationObserver(reach).observe(document.body, changes);
  reach();
  document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search");
}
