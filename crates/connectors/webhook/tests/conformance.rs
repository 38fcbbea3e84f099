//! The suite that every connector passes.

spindel_testkit::conformance!(
    spindel_connector_webhook::Webhook,
    waive: [("send_change not json", "any 2xx is a success, whatever its body")]
);
