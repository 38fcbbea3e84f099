//! The suite that every connector must pass.

spindel_testkit::conformance!(spindel_connector_business_central::BusinessCentral);
