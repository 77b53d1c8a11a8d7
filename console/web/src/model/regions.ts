// Regions of the pickers; any other can be had by its name in the address: ?region=….
export const regions = [
  "af-south-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2",
  "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
  "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1",
  "us-east-1", "us-east-2", "us-west-1", "us-west-2",
];

// What the Regions are called in the two languages.
const names: Record<string, [string, string]> = {
  "af-south-1": ["Cape Town", "ケープタウン"],
  "ap-east-2": ["Taipei", "台北"],
  "ap-northeast-1": ["Tokyo", "東京"],
  "ap-northeast-2": ["Seoul", "ソウル"],
  "ap-northeast-3": ["Osaka", "大阪"],
  "ap-south-1": ["Mumbai", "ムンバイ"],
  "ap-south-2": ["Hyderabad", "ハイデラバード"],
  "ap-southeast-1": ["Singapore", "シンガポール"],
  "ap-southeast-2": ["Sydney", "シドニー"],
  "ap-southeast-3": ["Jakarta", "ジャカルタ"],
  "ap-southeast-4": ["Melbourne", "メルボルン"],
  "ap-southeast-5": ["Malaysia", "マレーシア"],
  "ap-southeast-7": ["Thailand", "タイ"],
  "ca-central-1": ["Canada", "中部"],
  "ca-west-1": ["Calgary", "カルガリー"],
  "eu-central-1": ["Frankfurt", "フランクフルト"],
  "eu-central-2": ["Zurich", "チューリッヒ"],
  "eu-north-1": ["Stockholm", "ストックホルム"],
  "eu-south-1": ["Milan", "ミラノ"],
  "eu-south-2": ["Spain", "スペイン"],
  "eu-west-1": ["Ireland", "アイルランド"],
  "eu-west-2": ["London", "ロンドン"],
  "eu-west-3": ["Paris", "パリ"],
  "il-central-1": ["Tel Aviv", "テルアビブ"],
  "me-central-1": ["UAE", "UAE"],
  "me-south-1": ["Bahrain", "バーレーン"],
  "mx-central-1": ["Mexico", "中部"],
  "sa-east-1": ["São Paulo", "サンパウロ"],
  "us-east-1": ["N. Virginia", "バージニア北部"],
  "us-east-2": ["Ohio", "オハイオ"],
  "us-west-1": ["N. California", "北カリフォルニア"],
  "us-west-2": ["Oregon", "オレゴン"],
};
export const regionName = (region: string, locale: "en" | "ja") => names[region]?.[locale === "ja" ? 1 : 0];
