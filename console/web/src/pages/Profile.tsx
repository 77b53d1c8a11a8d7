import { useState } from "react";
import { useLocation } from "wouter";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Spinner from "@cloudscape-design/components/spinner";
import { bedrock } from "../aws/clients";
import { current } from "../aws/session";
import { lookup } from "../aws/trail";
import { useLoad } from "../app/load";
import { Arn, Code, Copy, Problem, to } from "../app/parts";
import RegionStrip from "../app/Regions";
import { denied, inference, shares } from "../model/inference";
import { destinations, grants, kindOf } from "../model/profile";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";
import OwnProfile from "./OwnProfile";
import Grantees from "./Grantees";
import Traffic from "./Traffic";

const day = 24 * 3600_000;

export default function Profile({ id }: { id: string }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [, go] = useLocation();
  const [owning, own] = useState(false);
  const region = current().region;
  const { data, error, reload } = useLoad(async (abortSignal) => {
    const { m, c } = await bedrock();
    return c.send(new m.GetInferenceProfileCommand({ inferenceProfileIdentifier: id }), { abortSignal });
  }, [id]);
  const traffic = useLoad(
    async (signal) => (data ? (await lookup({ key: "ResourceName", value: data.inferenceProfileArn, start: new Date(Date.now() - day) }, 10, signal)).items.filter(inference) : undefined),
    [data?.inferenceProfileArn],
  );
  if (!data) return error ? <Problem error={error} retry={reload} /> : <Spinner size="large" />;
  const p = { id: data.inferenceProfileId!, arn: data.inferenceProfileArn!, models: (data.models ?? []).map((x) => x.modelArn!) };
  const application = data.type === "APPLICATION";
  const refused = (traffic.data ?? []).filter((r) => denied(r.errorCode)).length;
  const policy = JSON.stringify(grants(p, region), null, 2);
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={data.description}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={() => own(true)}>{say(application ? "deleteProfile" : "copyProfile")}</Button>
              <Button variant="primary" onClick={() => go(to.playground(application ? p.arn : p.id))}>
                {t("openPlayground")}
              </Button>
            </SpaceBetween>
          }
        >
          {data.inferenceProfileName}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Container>
          <KeyValuePairs
            columns={4}
            items={[
              { label: t("profileId"), value: <Arn arn={p.id} /> },
              { label: t("arn"), value: <Arn arn={p.arn} /> },
              { label: t("type"), value: t(kindOf({ id: p.id, type: data.type })) },
              { label: t("status"), value: data.status },
            ]}
          />
        </Container>
        <Container header={<Header variant="h2" description={t("profileTrafficHint", { region })}>{t("profileTraffic")}</Header>}>
          {traffic.error !== undefined ? (
            <Problem error={traffic.error} retry={traffic.reload} />
          ) : (
            <SpaceBetween size="m">
              <RegionStrip source={region} shares={shares(traffic.data ?? [])} all={destinations(p)} denied={refused} />
              <Traffic records={traffic.data ?? []} regions={destinations(p)} />
              {refused > 0 && <StatusIndicator type="error">{say("refused", { n: refused })}</StatusIndicator>}
            </SpaceBetween>
          )}
        </Container>
        <Container header={<Header variant="h2" description={t("grantsHint", { region })} actions={<Copy text={policy} label={t("copy")} />}>{t("grantsTitle")}</Header>}>
          <Code text={policy} />
        </Container>
        <Grantees profile={p} key={p.arn} />
        <Container header={<Header variant="h2">{t("model")}</Header>}>
          <SpaceBetween size="xs">
            {p.models.map((a) => (
              <Arn arn={a} key={a} />
            ))}
          </SpaceBetween>
        </Container>
      </SpaceBetween>
      {owning && <OwnProfile name={data.inferenceProfileName!} arn={p.arn} remove={application} onDismiss={() => own(false)} />}
    </ContentLayout>
  );
}
