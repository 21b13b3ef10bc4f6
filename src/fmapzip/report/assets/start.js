// The page that the address asks for.

function show() {
  tip.hide();
  paintFirst();
  const wanted = /^#\/tap\/(\d+)$/.exec(location.hash);
  const i = wanted ? Number(wanted[1]) - 1 : -1;
  const pages = { plan: [planOverview, planTapPage], partition: [partitionPage, null], tune: [tuningPage, null], traffic: [trafficPage, null] };
  const [whole, one] = pages[DATA().kind] || [overview, tapPage];
  const content = DATA().taps[i] ? one(i) : whole();
  const page = document.getElementById("page");
  page.replaceChildren(...content.filter(Boolean));
  page.querySelectorAll("figure").forEach((frame) => frame.repaint && frame.repaint());
  scrollTo(0, 0);
}

addEventListener("hashchange", show);
show();
