//! The one alphabetical list of connectors. Nothing else in Spindel knows a vendor by name.

mod table;

use spindel_connect::{Entry, entry};

pub use table::{COLUMNS, Row, table};

/// Every connector, by id.
pub static CATALOG: &[Entry] = &[
    entry::<spindel_connector_akeneo::Akeneo>(),
    entry::<spindel_connector_amqp::Amqp>(),
    entry::<spindel_connector_bring::Bring>(),
    entry::<spindel_connector_business_central::BusinessCentral>(),
    entry::<spindel_connector_hubspot::Hubspot>(),
    entry::<spindel_connector_klarna::Klarna>(),
    entry::<spindel_connector_magento::Magento>(),
    entry::<spindel_connector_odoo::Odoo>(),
    entry::<spindel_connector_shipmondo::Shipmondo>(),
    entry::<spindel_connector_shopify::Shopify>(),
    entry::<spindel_connector_stripe::Stripe>(),
    entry::<spindel_connector_tryton::Tryton>(),
    entry::<spindel_connector_vipps::Vipps>(),
    entry::<spindel_connector_webhook::Webhook>(),
    entry::<spindel_connector_woocommerce::Woocommerce>(),
];

/// The connector of this id.
pub fn find(id: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.info.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_alphabetical_and_names_each_connector_once() {
        assert!(CATALOG.windows(2).all(|pair| pair[0].info.id < pair[1].info.id));
    }

    #[test]
    fn a_connector_is_found_by_its_id() {
        assert_eq!(find("shopify").unwrap().info.name, "Shopify");
        assert!(find("shopfiy").is_none());
    }
}
