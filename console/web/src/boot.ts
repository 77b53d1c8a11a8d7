// What comes first, and is small: everything that a page waits for is asked for at once, signing in
// among it, while the app comes.
import { askAhead, fetchPage } from "./app/routes";
import { base, regionIn } from "./app/paths";
import { enter } from "./aws/signin";
import { setRegion } from "./aws/session";
import { initialLocale, load } from "./i18n/load";

const patienceMs = 300; // for signing in; then the page says that it goes on

const path = location.pathname.slice(base.length) || "/";
const query = new URLSearchParams(location.search);
const asked = query.get("region") ?? regionIn(path);
if (asked && /^[a-z]{2}(-[a-z]+)+-\d$/.test(asked)) setRegion(asked);

const entering = enter(); // first: a browser sends six requests at a time
const main = import("./main");
const signed = entering ? entering.then(() => askAhead(path), () => {}) : askAhead(path);
const texts = load(initialLocale()).catch(() => {}); // asked again where they are used
fetchPage(path, query);
void Promise.all([main, texts, Promise.race([signed, new Promise((done) => setTimeout(done, patienceMs))])]).then(([m]) => m.show());
