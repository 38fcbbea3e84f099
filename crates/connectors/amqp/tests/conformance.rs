//! The suite that every connector passes.

spindel_testkit::conformance!(
    spindel_connector_amqp::Amqp,
    waive: [("send_change not json", "a broker confirms, and says nothing more")]
);
