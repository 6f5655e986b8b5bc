//! The cargo feature `aws`: SQS triggers and DynamoDB stores, and what a build without them says.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod dynamo;
#[cfg(feature = "aws")]
mod sqs;
