import { useEffect, useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { entered, exchange, settings, withKeys, type Arrival } from "../aws/signin";
import type { State } from "../aws/session";
import { useI18n } from "../i18n";
import { Go, Problem } from "./parts";

export default function SignIn({ arrival, ended }: { arrival: Arrival; ended?: State["ended"] }) {
  const { t } = useI18n();
  const dev = settings().dev;
  const [under] = useState(entered); // what began when the page did
  const [busy, setBusy] = useState(under !== undefined);
  const [error, setError] = useState<unknown>();
  const [k, setK] = useState({ accessKeyId: "", secretAccessKey: "", sessionToken: "", role: "", keep: false });
  const run = async (f: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await f();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  useEffect(() => {
    if (under) void run(() => under);
  }, [under]);
  const issuer = arrival.issuer && /^https?:\/\//.test(arrival.issuer) ? arrival.issuer : undefined;
  return (
    <main className="signin">
      <SpaceBetween size="l">
        <Box variant="h1" textAlign="center">
          {t("appName")}
        </Box>
        {busy ? (
          <Box textAlign="center">
            <Spinner /> {t("signingIn")}
          </Box>
        ) : (
          <SpaceBetween size="l">
            {error !== undefined && <Problem error={Object.assign(new Error((error as Error).message), { name: t("signInFailed") })} />}
            {!error && ended && <Alert type={ended === "expired" ? "warning" : "info"}>{t(ended === "expired" ? "sessionExpired" : "signedOutNow")}</Alert>}
            {issuer && (
              <Go href={issuer} external>
                {t("issuerLink", { host: new URL(issuer).host })}
              </Go>
            )}
            {dev && (
              <Button variant="primary" fullWidth onClick={() => void run(() => exchange({ dev: true }))}>
                {t("signInDev")}
              </Button>
            )}
            <form
              onSubmit={(e) => {
                e.preventDefault();
                const keys = k;
                setK({ ...k, secretAccessKey: "", sessionToken: "" });
                void run(() => withKeys(keys));
              }}
            >
              <Container header={<Header variant="h2" description={t("signInHint")}>{t("signIn")}</Header>}>
                <Form
                  actions={
                    <Button variant={dev ? "normal" : "primary"} formAction="submit" disabled={!k.accessKeyId || !k.secretAccessKey}>
                      {t("signIn")}
                    </Button>
                  }
                >
                  <SpaceBetween size="m">
                    <FormField label={t("accessKeyId")}>
                      <Input value={k.accessKeyId} onChange={(e) => setK({ ...k, accessKeyId: e.detail.value })} autoComplete="username" spellcheck={false} />
                    </FormField>
                    <FormField label={t("secretAccessKey")}>
                      <Input type="password" value={k.secretAccessKey} onChange={(e) => setK({ ...k, secretAccessKey: e.detail.value })} autoComplete="current-password" />
                    </FormField>
                    <FormField label={<>{t("sessionToken")} <i>– {t("optional")}</i></>} description={t("sessionTokenHint")}>
                      <Input type="password" value={k.sessionToken} onChange={(e) => setK({ ...k, sessionToken: e.detail.value })} autoComplete={false} />
                    </FormField>
                    <FormField label={<>{t("roleToAssume")} <i>– {t("optional")}</i></>} description={t("roleToAssumeHint")}>
                      <Input value={k.role} onChange={(e) => setK({ ...k, role: e.detail.value })} placeholder="arn:aws:iam::111122223333:role/…" spellcheck={false} />
                    </FormField>
                    <Checkbox checked={k.keep} onChange={(e) => setK({ ...k, keep: e.detail.checked })}>
                      {t("keepInTab")}
                    </Checkbox>
                  </SpaceBetween>
                </Form>
              </Container>
            </form>
          </SpaceBetween>
        )}
      </SpaceBetween>
    </main>
  );
}
