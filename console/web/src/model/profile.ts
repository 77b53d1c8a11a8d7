// Cross-Region inference profiles: where a call may run, and what it takes to be allowed.
export type Profile = { id: string; arn: string; models: string[] };

export const regionOf = (arn: string) => arn.split(":")[3] ?? "";

// destinations are the Regions that a profile may run a call in; a model's ARN without a Region
// stands for every commercial one and is "" here.
export const destinations = (p: Profile) => [...new Set(p.models.map(regionOf))].sort();

export const modelId = (arn: string) => arn.slice(arn.indexOf("/") + 1);

// grants is the least policy that lets its owner call a profile from a Region: the profile, and
// the model in the source Region and in every destination, through this profile only.
export function grants(p: Profile, source: string) {
  const models = [...p.models];
  const first = p.models[0];
  if (first) {
    const here = `arn:${first.split(":")[1]}:bedrock:${source}::foundation-model/${modelId(first)}`;
    if (!models.includes(here)) models.unshift(here);
  }
  const Action = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action, Resource: [p.arn] },
      { Effect: "Allow", Action, Resource: models, Condition: { StringEquals: { "bedrock:InferenceProfileArn": p.arn } } },
    ],
  };
}
