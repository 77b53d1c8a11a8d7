import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Redirect, Route, Router, Switch, useLocation } from "wouter";
import AppLayout from "@cloudscape-design/components/app-layout";
import Box from "@cloudscape-design/components/box";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useI18n, type Key, type Locale } from "../i18n";
import { current, end, setRegion, subscribe, type Session } from "../aws/session";
import { arrival } from "../aws/signin";
import { initialDark, saveDark } from "./prefs";
import { regions } from "../model/regions";
import later from "./later";
import { Boundary, Empty, Explains, Go } from "./parts";
import { base, param, regionIn, to } from "./paths";
import { askAhead, fetchPage, pages } from "./routes";
import SignIn from "./SignIn";

const waiting = <Spinner size="large" />;
const Overview = later(pages["/"], waiting);
const Machines = later(pages["/state-machines"], waiting);
const CreateMachine = later(pages["/state-machines/create"], waiting);
const Machine = later(pages["/state-machines/:arn"], waiting);
const Execution = later(pages["/executions/:arn"], waiting);
const Compare = later(pages["/compare"], waiting);
const MapRun = later(pages["/map-runs/:arn"], waiting);
const Models = later(pages["/models"], waiting);
const Profiles = later(pages["/profiles"], waiting);
const Profile = later(pages["/profiles/:id"], waiting);
const Playground = later(pages["/playground"], waiting);
const Events = later(pages["/events"], waiting);
const Residency = later(pages["/residency"], waiting);
const IamList = later(pages["/iam/roles"], waiting);
const Entity = later(pages["/iam/roles/:name"], waiting);
const Policy = later(pages["/iam/policies/:arn"], waiting);
const Simulator = later(pages["/iam/simulator"], waiting);

const Why = later(() => import("../why/Why"));


// named is what an ARN is about; an id of a profile has colons of its own.
const named = (s: string) => (s.startsWith("arn:") ? s.split(/[:/]/).pop()! : s);

// machineOf is the state machine that an execution or a Map Run is of.
const machineOf = (arn: string) => {
  const p = arn.split(":");
  return p.length > 6 && (p[5] === "execution" || p[5] === "mapRun") ? [...p.slice(0, 5), "stateMachine", p[6]!.split("/")[0]].join(":") : undefined;
};

const titles: [string, Key][] = [
  ["/state-machines", "stateMachines"],
  ["/executions", "executions"],
  ["/compare", "executions"],
  ["/map-runs", "executions"],
  ["/models", "models"],
  ["/profiles", "profiles"],
  ["/playground", "playground"],
  ["/events", "eventHistory"],
  ["/residency", "residency"],
  ["/iam/roles", "iamRoles"],
  ["/iam/users", "iamUsers"],
  ["/iam/policies", "iamPolicies"],
  ["/iam/simulator", "iamSimulator"],
];

function Shell({ session, region }: { session: Session; region: string }) {
  const { t } = useI18n();
  const [wide, setWide] = useState(() => window.innerWidth > 1000);
  const [path, go] = useLocation();
  useMemo(() => {
    fetchPage(path, new URLSearchParams(location.search));
    askAhead(path);
  }, [path, region]); // before the page is drawn
  const found = titles.find(([p]) => path.startsWith(p));
  const title = t(found?.[1] ?? "overview");
  const last = path.split("/").length > (path.startsWith("/iam/") ? 3 : 2) ? named(param(path.split("/").pop()!)) : undefined;
  useEffect(() => {
    document.title = `${last ? (path === "/state-machines/create" ? t("create") : last) + " | " : ""}${title} | ${t("appName")}`;
  }, [title, last, t]);
  const machine = machineOf(param(path.split("/").pop()!));
  // A link leads to what it names, whichever Region was looked at before.
  const meant = regionIn(path);
  useEffect(() => {
    if (meant && meant !== region) setRegion(meant);
  }, [meant, path]);
  const follow = (e: { detail: { href?: string; external?: boolean }; preventDefault(): void }) => {
    if (e.detail.external || !e.detail.href) return;
    e.preventDefault();
    go(e.detail.href.slice(base.length) || "/");
    if (window.innerWidth < 700) setWide(false);
  };
  const link = (k: Key, href: string) => ({ type: "link" as const, text: t(k), href: base + href });
  const activeHref = base + (found?.[1] === "executions" ? "/state-machines" : (found?.[0] ?? "/"));
  return (
    <>
      <Top session={session} region={region} />
      <AppLayout
        headerSelector="#top"
        toolsHide
        navigationOpen={wide}
        onNavigationChange={(e) => setWide(e.detail.open)}
        navigationWidth={240}
        maxContentWidth={Number.MAX_VALUE}
        ariaLabels={{ navigation: t("overview"), navigationToggle: t("openNavigation"), navigationClose: t("closeNavigation") }}
        breadcrumbs={
          found && (
            <BreadcrumbGroup
              items={[
                { text: t("appName"), href: base + "/" },
                { text: found[1] === "executions" ? t("stateMachines") : title, href: activeHref },
                ...(machine ? [{ text: named(machine), href: base + to.machine(machine) }] : found[0] === "/compare" ? [{ text: t("compareRuns"), href: base + path }] : []),
                ...(last ? [{ text: path === "/state-machines/create" ? t("create") : last, href: base + path }] : []),
              ]}
              onFollow={follow}
            />
          )
        }
        navigation={
          <SideNavigation
            header={{ text: t("appName"), href: base + "/" }}
            activeHref={activeHref}
            onFollow={follow}
            items={[
              { type: "link", text: t("overview"), href: base + "/" },
              { type: "section", text: "Step Functions", items: [link("stateMachines", "/state-machines")] },
              { type: "section", text: "Bedrock", items: [link("models", "/models"), link("profiles", "/profiles"), link("playground", "/playground")] },
              { type: "section", text: "CloudTrail", items: [link("eventHistory", "/events"), link("residency", "/residency")] },
              {
                type: "section",
                text: "IAM",
                items: [link("iamRoles", "/iam/roles"), link("iamUsers", "/iam/users"), link("iamPolicies", "/iam/policies"), link("iamSimulator", "/iam/simulator")],
              },
            ]}
          />
        }
        content={
          // Pages begin anew with another Region or session: nothing of one is shown in the other.
          <Boundary key={region + session.credentials.accessKeyId + path}>
            <Switch>
              <Route path="/" component={Overview} />
              <Route path="/state-machines" component={Machines} />
              <Route path="/state-machines/create" component={CreateMachine} />
              <Route path="/state-machines/:arn">{(p) => <Machine arn={param(p.arn)} key={p.arn} />}</Route>
              <Route path="/executions/:arn">{(p) => <Execution arn={param(p.arn)} key={p.arn} />}</Route>
              <Route path="/executions"><Redirect to="/state-machines" /></Route>
              <Route path="/compare" component={Compare} />
              <Route path="/map-runs/:arn">{(p) => <MapRun arn={param(p.arn)} key={p.arn} />}</Route>
              <Route path="/models" component={Models} />
              <Route path="/profiles" component={Profiles} />
              <Route path="/profiles/:id">{(p) => <Profile id={param(p.id)} key={p.id} />}</Route>
              <Route path="/playground" component={Playground} />
              <Route path="/events" component={Events} />
              <Route path="/residency" component={Residency} />
              <Route path="/iam/roles"><IamList kind="role" key="role" /></Route>
              <Route path="/iam/users"><IamList kind="user" key="user" /></Route>
              <Route path="/iam/policies"><IamList kind="policy" key="policy" /></Route>
              <Route path="/iam/roles/:name">{(p) => <Entity kind="role" name={param(p.name)} key={p.name} />}</Route>
              <Route path="/iam/users/:name">{(p) => <Entity kind="user" name={param(p.name)} key={p.name} />}</Route>
              <Route path="/iam/policies/:arn">{(p) => <Policy arn={param(p.arn)} key={p.arn} />}</Route>
              <Route path="/iam/simulator" component={Simulator} />
              <Route>
                <Empty title={<Box variant="h1">{t("notFound")}</Box>}>
                  {t("notFoundHint")}
                  <Go href="/">{t("overview")}</Go>
                </Empty>
              </Route>
            </Switch>
          </Boundary>
        }
      />
    </>
  );
}

// offset is how far the clock on the wall is from UTC, as "UTC+09:00".
function offset(): string {
  const m = -new Date().getTimezoneOffset();
  const two = (n: number) => String(n).padStart(2, "0");
  return `UTC${m < 0 ? "−" : "+"}${two(Math.floor(Math.abs(m) / 60))}:${two(Math.abs(m) % 60)}`;
}

function Top({ session, region }: { session?: Session; region: string }) {
  const { t, locale, setLocale, zone, setZone } = useI18n();
  const [path, go] = useLocation();
  const [dark, setDark] = useState(initialDark);
  useEffect(() => {
    applyMode(dark ? Mode.Dark : Mode.Light);
    saveDark(dark);
  }, [dark]);
  const language = locale === "ja" ? "日本語" : "English";
  const mode = t(dark ? "dark" : "light");
  const name = session?.arn.split(/[:/]/).pop() ?? "";
  const items = regions.includes(region) ? regions : [region, ...regions];
  return (
    <div id="top">
      <TopNavigation
        i18nStrings={{ overflowMenuTriggerText: t("menu"), overflowMenuTitleText: t("menu") }}
        identity={{
          href: base + "/",
          title: t("appName"),
          onFollow: (e) => {
            e.preventDefault();
            go("/");
          },
        }}
        utilities={[
          ...(session
            ? [
                {
                  type: "menu-dropdown" as const,
                  text: region,
                  iconName: "globe" as const,
                  ariaLabel: `${t("region")}: ${region}`,
                  items: items.map((id) => ({ id, text: id })),
                  onItemClick: (e: { detail: { id: string } }) => {
                    // What is of one Region is not in the other: its list is.
                    if (regionIn(path)) go(titles.find(([p]) => path.startsWith(p))?.[1] === "executions" ? "/state-machines" : "/" + path.split("/")[1]);
                    setRegion(e.detail.id);
                  },
                },
              ]
            : []),
          {
            type: "menu-dropdown",
            text: language,
            ariaLabel: `${t("language")}: ${language}`,
            items: [{ id: "en", text: "English" }, { id: "ja", text: "日本語" }],
            onItemClick: (e) => setLocale(e.detail.id as Locale),
          },
          {
            type: "menu-dropdown",
            text: mode,
            iconName: "settings",
            ariaLabel: `${t("theme")}: ${mode}`,
            items: [{ id: "light", text: t("light") }, { id: "dark", text: t("dark") }],
            onItemClick: (e) => setDark(e.detail.id === "dark"),
          },
          ...(session
            ? [
                {
                  type: "menu-dropdown" as const,
                  text: zone === "utc" ? "UTC" : offset(),
                  iconName: "calendar" as const,
                  ariaLabel: `${t("timeZone")}: ${zone === "utc" ? "UTC" : offset()}`,
                  items: [{ id: "local", text: `${t("zoneLocal")} (${offset()})` }, { id: "utc", text: "UTC" }],
                  onItemClick: (e: { detail: { id: string } }) => setZone(e.detail.id === "utc" ? "utc" : "local"),
                },
              ]
            : []),
          ...(session
            ? [
                {
                  type: "menu-dropdown" as const,
                  text: session.how === "dev" ? `${name} · ${t("devBadge")}` : name,
                  iconName: "user-profile" as const,
                  description: session.arn,
                  items: [
                    { id: "who", text: session.arn, disabled: true },
                    { id: "account", text: `${t("account")}: ${session.account}`, disabled: true },
                    { id: "out", text: t("signOut") },
                  ],
                  onItemClick: (e: { detail: { id: string } }) => e.detail.id === "out" && end("out"),
                },
              ]
            : []),
        ]}
      />
    </div>
  );
}

export default function App() {
  const state = useSyncExternalStore(subscribe, current);
  // A session ends when its credentials do, also while nothing is asked.
  const until = state.session?.credentials.expiration?.getTime();
  useEffect(() => {
    if (until === undefined) return;
    const timer = setTimeout(() => end("expired"), Math.min(Math.max(0, until - Date.now()), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  }, [until]);
  return (
    <Router base={base}>
      <Explains value={Why}>
        {state.session ? (
          <Shell session={state.session} region={state.region} />
        ) : (
          <>
            <Top region={state.region} />
            <SignIn arrival={state.ended ? { issuer: arrival.issuer } : arrival} ended={state.ended} key={state.ended} />
          </>
        )}
      </Explains>
    </Router>
  );
}
