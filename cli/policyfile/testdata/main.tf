# Everything that a policy is commonly written with.
variable "queue" {
  default = "orders"
}

locals {
  region = "ap-northeast-1"
  models = [
    "arn:aws:bedrock:${local.region}::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
  ]
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

resource "aws_iam_role" "flow" {
  name               = "flow"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags = {
    Owner = var.owner == "" ? "nobody" : upper(var.owner)
  }
  inline_policy {
    name   = "in"
    policy = <<-JSON
      {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:*:*:${var.queue}"}
      }
    JSON
  }
}

resource "aws_iam_role_policy" "bedrock" {
  role = aws_iam_role.flow.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Models"
        Effect   = "Allow"
        Action   = ["bedrock:InvokeModel"]
        Resource = concat(["arn:aws:bedrock:ap-northeast-1:${data.aws_caller_identity.me.account_id}:inference-profile/jp.anthropic.claude-sonnet-4-5-20250929-v1:0"], local.models)
      },
      { Effect = "Allow", Action = "lambda:InvokeFunction", Resource = aws_lambda_function.f.arn }, # filled in later
      { Effect : "Allow", Action : "s3:GetObject", Resource : "${aws_s3_bucket.b.arn}/*" /* and this */ }
    ]
  })
}

data "aws_iam_policy_document" "home" {
  statement {
    sid       = "Home"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:aws:s3:::home"]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["$${aws:username}/*"]
    }
  }
}
