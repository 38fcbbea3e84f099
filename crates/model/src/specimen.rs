//! One invented record of every kind, with every field filled and sums that add up.
//!
//! Config lint finds the paths of a filter here, mappings are tried on them, and documentation shows them.

use crate::{
    Address, Attributes, Change, Charge, ChargeKind, Consent, ConsentState, Customer, Discount, DiscountKind, DiscountShare,
    Dispute, DisputeState, EntityKind, EntityRef, FulfilmentState, LineKind, Media, Money, MoneyBag, Order, OrderLine, OrderRef,
    PaymentState, Payout, PayoutLine, PayoutLineKind, PayoutState, Price, PrivacyRequest, Product, ProductStatus, Record, Refund,
    RefundAdjustment, RefundLine, Restock, Shipment, ShipmentLine, ShipmentState, ShippingLine, StockLevel, TaxLine, Texts,
    Topic, Totals, Tracking, Transaction, TransactionKind, TransactionStatus, Variant, Version,
};
use iso_currency::Currency;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;

const ORDER_ID: &str = "5523987001345";
const CUSTOMER_ID: &str = "7011223344556";
const LINE_ID: &str = "14011";
const SKU: &str = "SWEATER-RED-M";

/// An invented record of this kind. Every optional field is there, so the order is also cancelled and refunded.
pub fn specimen(kind: EntityKind) -> Record {
    match kind {
        EntityKind::Order => Record::Order(Box::new(order())),
        EntityKind::Refund => Record::Refund(Box::new(refund())),
        EntityKind::Transaction => Record::Transaction { order: reference(), transaction: sale() },
        EntityKind::Dispute => Record::Dispute(Box::new(dispute())),
        EntityKind::Payout => Record::Payout(Box::new(payout())),
        EntityKind::Shipment => Record::Shipment(Box::new(shipment())),
        EntityKind::Product => Record::Product(Box::new(product())),
        EntityKind::Stock => Record::Stock(stock()),
        EntityKind::Price => Record::Price(price()),
        EntityKind::Customer => Record::Customer(Box::new(customer())),
        EntityKind::Shop => Record::Shop(json!({ "name": "Ullvare", "domain": "ullvare.example.no", "currency": "NOK" })),
        EntityKind::Privacy => Record::Privacy(privacy()),
    }
}

/// An invented change of this topic, with the record that such a change carries.
pub fn specimen_change(topic: Topic) -> Change {
    let kind = topic.entity();
    let record = match topic {
        Topic::OrderDeleted | Topic::ProductDeleted | Topic::CustomerDeleted => Record::Deleted,
        _ => specimen(kind),
    };
    Change { topic, entity: EntityRef::new(kind, entity_id(kind)), version: Version::from(at(4)), record }
}

fn entity_id(kind: EntityKind) -> String {
    match kind {
        EntityKind::Order => ORDER_ID.into(),
        EntityKind::Refund => refund().id,
        EntityKind::Transaction => sale().id,
        EntityKind::Dispute => dispute().id,
        EntityKind::Payout => payout().id,
        EntityKind::Shipment => shipment().id,
        EntityKind::Product => product().id,
        EntityKind::Stock => format!("{SKU}@MAIN"),
        EntityKind::Price => format!("{SKU}/NOK"),
        EntityKind::Customer | EntityKind::Privacy => CUSTOMER_ID.into(),
        EntityKind::Shop => "ullvare.example.no".into(),
    }
}

fn order() -> Order {
    Order {
        id: ORDER_ID.into(),
        number: "#1042".into(),
        placed_at: at(0),
        updated_at: at(4),
        cancelled_at: Some(at(4)),
        cancel_reason: Some("customer".into()),
        closed_at: Some(at(4)),
        payment_state: PaymentState::PartiallyRefunded,
        fulfilment_state: FulfilmentState::Fulfilled,
        test: false,
        source_channel: Some("web".into()),
        currency: Currency::NOK,
        presentment_currency: Currency::SEK,
        prices_include_tax: true,
        tax_exempt: false,
        customer: Some(customer()),
        email: Some("kari@example.no".into()),
        phone: Some("+4799999999".into()),
        billing_address: Some(address()),
        shipping_address: Some(address()),
        lines: vec![line()],
        shipping_lines: vec![shipping_line()],
        discounts: vec![Discount { code: Some("WINTER".into()), title: "Winter sale".into(), kind: DiscountKind::Code }],
        charges: vec![Charge {
            kind: ChargeKind::Fee,
            title: "Gift wrapping".into(),
            total: bag(2000, 1970),
            taxes: vec![tax(400, 394)],
        }],
        transactions: vec![authorisation(), capture(), paid_back()],
        refunds: vec![refund()],
        totals: Totals {
            subtotal: bag(44800, 44080),
            discount: bag(5000, 4920),
            shipping: bag(4900, 4820),
            tax: bag(10340, 10174),
            rounding: bag(0, 0),
            grand: bag(51700, 50870),
            refunded: bag(25300, 24890),
        },
        note: Some("Please ring twice".into()),
        tags: vec!["vip".into()],
        attributes: attributes("gift_message", "Happy birthday"),
    }
}

fn line() -> OrderLine {
    OrderLine {
        id: LINE_ID.into(),
        sku: Some(SKU.into()),
        product_id: Some("881".into()),
        variant_id: Some("9917".into()),
        title: "Sweater, red, M".into(),
        kind: LineKind::Physical,
        grams: Some(Decimal::from(450)),
        quantity: Decimal::TWO,
        quantity_ordered: Decimal::TWO,
        quantity_refunded: Decimal::ONE,
        unit_price: bag(24900, 24500),
        discounts: vec![DiscountShare { discount: 0, amount: bag(5000, 4920) }],
        taxes: vec![tax(8960, 8816)],
        total: bag(44800, 44080),
        attributes: attributes("engraving", "KN"),
    }
}

fn shipping_line() -> ShippingLine {
    ShippingLine {
        id: "31".into(),
        code: Some("HOME".into()),
        title: "Home delivery".into(),
        pickup_point: Some("121732".into()),
        price: bag(4900, 4820),
        discounts: vec![DiscountShare { discount: 0, amount: bag(0, 0) }],
        taxes: vec![tax(980, 964)],
        total: bag(4900, 4820),
    }
}

fn sale() -> Transaction {
    Transaction {
        id: "54".into(),
        parent_id: Some("53".into()),
        gateway: "card".into(),
        kind: TransactionKind::Sale,
        status: TransactionStatus::Success,
        amount: Money::from_minor(51700, Currency::NOK),
        processed_at: at(0),
        reference: Some("PAY-8812".into()),
        expires_at: Some(at(7)),
        test: false,
    }
}

fn authorisation() -> Transaction {
    Transaction { id: "53".into(), kind: TransactionKind::Authorization, ..sale() }
}

/// Half of it was sent already.
fn capture() -> Transaction {
    Transaction { kind: TransactionKind::Capture, amount: Money::from_minor(25300, Currency::NOK), ..sale() }
}

fn paid_back() -> Transaction {
    Transaction {
        id: "55".into(),
        parent_id: Some("54".into()),
        kind: TransactionKind::Refund,
        amount: Money::from_minor(25300, Currency::NOK),
        processed_at: at(3),
        reference: Some("PAY-8813".into()),
        ..sale()
    }
}

/// One of the two sweaters and the shipping come back, less a return fee.
fn refund() -> Refund {
    Refund {
        id: "890088".into(),
        order: reference(),
        payment: Some("PAY-8812".into()),
        created_at: at(3),
        note: Some("Too small".into()),
        lines: vec![RefundLine {
            line_id: LINE_ID.into(),
            sku: Some(SKU.into()),
            quantity: Decimal::ONE,
            subtotal: bag(22400, 22040),
            tax: bag(4480, 4408),
            restock: Restock::Return,
            location_id: Some("MAIN".into()),
        }],
        shipping: Some(bag(4900, 4820)),
        adjustments: vec![RefundAdjustment { reason: "Return fee".into(), amount: bag(-2000, -1970) }],
        transactions: vec![paid_back()],
        total: bag(25300, 24890),
    }
}

fn dispute() -> Dispute {
    Dispute {
        id: "DP-7".into(),
        order: reference(),
        payment: Some("PAY-8812".into()),
        amount: Money::from_minor(51700, Currency::NOK),
        reason: "product_not_received".into(),
        state: DisputeState::NeedsResponse,
        due_by: Some(at(12)),
        created_at: at(4),
        updated_at: at(4),
    }
}

/// The sale of the order, less the provider's fee.
fn payout() -> Payout {
    let nok = |minor| Money::from_minor(minor, Currency::NOK);
    Payout {
        id: "PO-20261122".into(),
        state: PayoutState::Paid,
        amount: nok(50950),
        paid_at: Some(at(4)),
        updated_at: at(4),
        lines: vec![PayoutLine {
            id: "PO-20261122-1".into(),
            kind: PayoutLineKind::Charge,
            payment: Some("PAY-8812".into()),
            transaction: Some("54".into()),
            order: reference(),
            gross: nok(51700),
            fee: nok(750),
            net: nok(50950),
            at: at(0),
        }],
    }
}

fn shipment() -> Shipment {
    Shipment {
        id: "WH-OUT-00017".into(),
        order: reference(),
        state: ShipmentState::Shipped,
        raw_state: Some("HANDED_IN".into()),
        carrier: Some("Posten".into()),
        tracking: vec![Tracking {
            number: "370000000000001234".into(),
            url: Some("https://tracking.example.no/370000000000001234".into()),
        }],
        lines: vec![ShipmentLine { line_id: Some(LINE_ID.into()), sku: Some(SKU.into()), quantity: Decimal::TWO }],
        completes_order: false,
        location: Some("MAIN".into()),
        shipped_at: Some(at(2)),
        updated_at: at(2),
    }
}

fn product() -> Product {
    Product {
        id: "881".into(),
        handle: Some("sweater-red".into()),
        title: "Sweater, red".into(),
        description: Some("<p>Warm.</p>".into()),
        brand: Some("Ullvare".into()),
        category: Some("Clothing".into()),
        tags: vec!["wool".into()],
        status: ProductStatus::Active,
        variants: vec![Variant {
            id: "9917".into(),
            sku: Some(SKU.into()),
            gtin: Some("7090000000012".into()),
            options: vec![("Size".into(), "M".into())],
            price: Some(Money::from_minor(24900, Currency::NOK)),
            compare_at: Some(Money::from_minor(29900, Currency::NOK)),
            grams: Some(Decimal::from(450)),
        }],
        translations: [(
            "en-GB".to_owned(),
            Texts {
                title: Some("Jumper, red".into()),
                description: Some("<p>Warm.</p>".into()),
                attributes: attributes("material", "wool"),
            },
        )]
        .into(),
        media: vec![Media {
            id: "red-front".into(),
            url: Some("https://media.example.no/red-front.jpg".into()),
            alt: Some("From the front".into()),
        }],
        updated_at: at(4),
        attributes: attributes("material", "wool"),
    }
}

fn stock() -> StockLevel {
    StockLevel {
        sku: Some(SKU.into()),
        item_id: Some("43729076".into()),
        location: "MAIN".into(),
        available: Some(Decimal::from(10)),
        on_hand: Some(Decimal::from(12)),
        as_of: at(4),
    }
}

fn price() -> Price {
    Price {
        sku: SKU.into(),
        amount: Money::from_minor(24900, Currency::NOK),
        compare_at: Some(Money::from_minor(29900, Currency::NOK)),
        includes_tax: true,
        sale_from: Some(at(0)),
        sale_until: Some(at(10)),
        as_of: at(4),
    }
}

fn customer() -> Customer {
    let consent = || Consent { state: ConsentState::Given, at: Some(at(0)) };
    Customer {
        id: CUSTOMER_ID.into(),
        email: Some("kari@example.no".into()),
        phone: Some("+4799999999".into()),
        first_name: Some("Kari".into()),
        last_name: Some("Nordmann".into()),
        default_address: Some(address()),
        locale: Some("nb-NO".into()),
        tags: vec!["vip".into()],
        tax_exempt: false,
        email_consent: consent(),
        sms_consent: consent(),
        updated_at: Some(at(4)),
        attributes: attributes("loyalty_level", "gold"),
    }
}

fn address() -> Address {
    Address {
        first_name: Some("Kari".into()),
        last_name: Some("Nordmann".into()),
        company: Some("Nordmann AS".into()),
        line1: Some("Storgata 1".into()),
        line2: Some("2nd floor".into()),
        postal_code: Some("0155".into()),
        city: Some("Oslo".into()),
        region: Some("Oslo".into()),
        country: Some("NO".into()),
        phone: Some("+4799999999".into()),
    }
}

fn privacy() -> PrivacyRequest {
    PrivacyRequest {
        shop: "ullvare.example.no".into(),
        customer_id: Some(CUSTOMER_ID.into()),
        email: Some("kari@example.no".into()),
        phone: Some("+4799999999".into()),
        orders: vec![ORDER_ID.into()],
        request_id: Some("9999".into()),
    }
}

fn reference() -> OrderRef {
    OrderRef { id: Some(ORDER_ID.into()), number: Some("#1042".into()) }
}

fn tax(shop: i64, presentment: i64) -> TaxLine {
    TaxLine { title: "MVA".into(), rate: Decimal::new(25, 2), amount: bag(shop, presentment), included: true }
}

/// In minor units: 24900 is 249.00.
fn bag(shop: i64, presentment: i64) -> MoneyBag {
    MoneyBag { shop: Money::from_minor(shop, Currency::NOK), presentment: Money::from_minor(presentment, Currency::SEK) }
}

fn attributes(name: &str, value: &str) -> Attributes {
    Attributes::from([(name.to_owned(), json!(value))])
}

/// So many days after the order was placed, 20 November 2026.
fn at(days: i64) -> Timestamp {
    Timestamp::from_second(1_795_169_702 + days * 86_400).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ActionKind};
    use serde_json::Value;

    #[test]
    fn the_order_adds_up_in_both_currencies() {
        let order = order();
        assert_eq!(order.residue().unwrap(), bag(0, 0));
        let taxes = order.lines.iter().flat_map(|it| &it.taxes);
        let taxes = taxes
            .chain(order.shipping_lines.iter().flat_map(|it| &it.taxes))
            .chain(order.charges.iter().flat_map(|it| &it.taxes));
        assert_eq!(taxes.fold(bag(0, 0), |sum, it| sum.try_add(it.amount).unwrap()), order.totals.tax);
        let line = &order.lines[0];
        let gross = line.unit_price.times(line.quantity).unwrap();
        assert_eq!(gross.try_sub(line.discounts[0].amount).unwrap(), line.total);
    }

    #[test]
    fn the_refund_adds_up_and_is_what_the_order_says() {
        let refund = refund();
        let sum = refund.lines[0].subtotal.try_add(refund.shipping.unwrap()).unwrap();
        assert_eq!(sum.try_add(refund.adjustments[0].amount).unwrap(), refund.total);
        assert_eq!(order().totals.refunded, refund.total);
        assert_eq!(refund.transactions[0].amount, refund.total.shop);
    }

    #[test]
    fn nothing_in_a_specimen_is_empty_and_it_survives_the_wire() {
        fn full(at: &str, value: &Value) {
            match value {
                Value::Array(items) => {
                    assert!(!items.is_empty(), "{at}");
                    items.iter().for_each(|item| full(at, item));
                }
                Value::Object(fields) => {
                    assert!(!fields.is_empty(), "{at}");
                    fields.iter().for_each(|(name, value)| full(&format!("{at}.{name}"), value));
                }
                Value::String(text) => assert!(!text.is_empty(), "{at}"),
                Value::Null => panic!("{at} is null"),
                _ => {}
            }
        }
        for kind in EntityKind::ALL {
            let record = specimen(*kind);
            let json = serde_json::to_value(&record).unwrap();
            full(kind.as_str(), &json);
            assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
        }
    }

    #[test]
    fn every_action_can_be_made_from_the_specimens_it_accepts() {
        for action in ActionKind::ALL {
            for topic in Topic::ALL.iter().filter(|topic| action.accepts().contains(&topic.entity())) {
                let change = specimen_change(*topic);
                let made = Action::from_change(*action, &change);
                // The shipment of the specimen carries a part of its order.
                let partial = *action == ActionKind::CapturePayment && topic.entity() == EntityKind::Shipment;
                let possible = *action == ActionKind::SendChange || (change.record != Record::Deleted && !partial);
                assert_eq!(made.is_ok(), possible, "{action} from {topic}: {made:?}");
            }
        }
    }
}
