//! The models, as far as they are used: their fields, and what stands behind each.

pub(super) enum Kind {
    /// A value as it was written.
    Value,
    /// A record of another model.
    One(&'static str),
    /// Records of another model, kept as a list.
    List(&'static str),
    /// Records of another model that name this one in a field.
    By(&'static str, &'static str),
    /// Worked out when it is read.
    Computed,
    /// The same, records of another model.
    ComputedList(&'static str),
}

pub(super) struct Model {
    pub name: &'static str,
    pub label: &'static str,
    pub fields: &'static [(&'static str, Kind)],
}

use Kind::{By, Computed, ComputedList, List, One, Value};

pub(super) fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|it| it.name == name)
}

impl Model {
    pub(super) fn kind(&self, field: &str) -> Option<&'static Kind> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, kind)| kind)
    }
}

const MODELS: &[Model] = &[
    Model { name: "web.shop", label: "Web Shop", fields: &[("name", Value), ("active", Value)] },
    Model { name: "company.company", label: "Company", fields: &[("currency", One("currency.currency"))] },
    Model { name: "currency.currency", label: "Currency", fields: &[("code", Value), ("digits", Value), ("active", Value)] },
    Model { name: "country.country", label: "Country", fields: &[("code", Value), ("name", Value)] },
    Model { name: "country.subdivision", label: "Subdivision", fields: &[("code", Value)] },
    Model { name: "ir.lang", label: "Language", fields: &[("code", Value)] },
    Model {
        name: "party.party",
        label: "Party",
        fields: &[
            ("name", Value),
            ("code", Value),
            ("lang", One("ir.lang")),
            ("addresses", By("party.address", "party")),
            ("contact_mechanisms", By("party.contact_mechanism", "party")),
            ("active", Value),
        ],
    },
    Model {
        name: "party.address",
        label: "Address",
        fields: &[
            ("party", One("party.party")),
            ("party_name", Value),
            ("attn", Value),
            ("street_unstructured", Value),
            ("postal_code", Value),
            ("city", Value),
            ("country", One("country.country")),
            ("subdivision", One("country.subdivision")),
            ("active", Value),
        ],
    },
    Model {
        name: "party.contact_mechanism",
        label: "Contact Mechanism",
        fields: &[("party", One("party.party")), ("type", Value), ("value", Value), ("name", Value), ("active", Value)],
    },
    Model { name: "account.tax", label: "Tax", fields: &[("rate", Value), ("name", Value), ("active", Value)] },
    Model {
        name: "product.category",
        label: "Product Category",
        fields: &[("account_revenue", Value), ("taxes", List("account.tax"))],
    },
    Model {
        name: "product.template",
        label: "Product Template",
        fields: &[("name", Value), ("list_prices", By("product.list_price", "template"))],
    },
    Model {
        name: "product.list_price",
        label: "List Price",
        fields: &[("template", One("product.template")), ("product", One("product.product")), ("list_price", Value)],
    },
    Model {
        name: "product.product",
        label: "Product",
        fields: &[
            ("code", Value),
            ("template", One("product.template")),
            ("type", Value),
            ("default_uom", Value),
            ("sale_uom", Value),
            ("salable", Value),
            ("account_category", One("product.category")),
            ("list_prices", By("product.list_price", "product")),
            ("quantity", Computed),
            ("sale_price_uom", Computed),
            ("active", Value),
        ],
    },
    Model {
        name: "product.price_list",
        label: "Price List",
        fields: &[("tax_included", Value), ("lines", By("product.price_list.line", "price_list")), ("active", Value)],
    },
    Model {
        name: "product.price_list.line",
        label: "Price List Line",
        fields: &[("price_list", One("product.price_list")), ("factor", Value)],
    },
    Model {
        name: "stock.location",
        label: "Stock Location",
        fields: &[("type", Value), ("code", Value), ("name", Value), ("parent", One("stock.location")), ("active", Value)],
    },
    Model {
        name: "stock.move",
        label: "Stock Move",
        fields: &[
            ("product", One("product.product")),
            ("quantity", Value),
            ("internal_quantity", Computed),
            ("state", Value),
            ("origin", Value),
            ("from_location", One("stock.location")),
            ("to_location", One("stock.location")),
            ("shipment", One("stock.shipment.out")),
            ("company", One("company.company")),
        ],
    },
    Model {
        name: "stock.shipment.out",
        label: "Customer Shipment",
        fields: &[
            ("number", Value),
            ("state", Value),
            ("effective_date", Value),
            ("warehouse", One("stock.location")),
            ("company", One("company.company")),
            ("carrier", One("carrier")),
            ("packages", By("stock.package", "shipment")),
            ("shipping_reference", Value),
            ("outgoing_moves", By("stock.move", "shipment")),
        ],
    },
    Model {
        name: "stock.package",
        label: "Stock Package",
        fields: &[("shipment", One("stock.shipment.out")), ("shipping_reference", Value), ("shipping_tracking_url", Value)],
    },
    Model { name: "carrier", label: "Carrier", fields: &[("rec_name", Value)] },
    Model {
        name: "sale.sale",
        label: "Sale",
        fields: &[
            ("number", Value),
            ("reference", Value),
            ("web_shop", One("web.shop")),
            ("web_id", Value),
            ("party", One("party.party")),
            ("invoice_address", One("party.address")),
            ("shipment_address", One("party.address")),
            ("currency", One("currency.currency")),
            ("company", One("company.company")),
            ("sale_date", Value),
            ("comment", Value),
            ("warehouse", One("stock.location")),
            ("invoice_method", Value),
            ("shipment_method", Value),
            ("shipment_cost_method", Value),
            ("state", Value),
            ("lines", By("sale.line", "sale")),
            ("total_amount", Computed),
            ("invoice_state", Computed),
            ("shipment_state", Computed),
            ("invoices", ComputedList("account.invoice")),
            ("shipments", ComputedList("stock.shipment.out")),
            ("invoices_ignored", List("account.invoice")),
        ],
    },
    Model {
        name: "sale.line",
        label: "Sale Line",
        fields: &[
            ("sale", One("sale.sale")),
            ("type", Value),
            ("product", One("product.product")),
            ("unit", Value),
            ("quantity", Value),
            ("unit_price", Value),
            ("taxes", List("account.tax")),
            ("description", Value),
            ("note", Value),
            ("moves_ignored", List("stock.move")),
        ],
    },
    Model {
        name: "account.invoice",
        label: "Account Invoice",
        fields: &[
            ("number", Value),
            ("state", Value),
            ("type", Value),
            ("company", One("company.company")),
            ("party", One("party.party")),
            ("invoice_address", One("party.address")),
            ("account", Value),
            ("journal", Value),
            ("currency", One("currency.currency")),
            ("reference", Value),
            ("lines", By("account.invoice.line", "invoice")),
            ("total_amount", Computed),
            ("amount_to_pay", Computed),
            ("paid", Value),
        ],
    },
    Model {
        name: "account.invoice.line",
        label: "Account Invoice Line",
        fields: &[
            ("invoice", One("account.invoice")),
            ("type", Value),
            ("company", One("company.company")),
            ("currency", One("currency.currency")),
            ("product", One("product.product")),
            ("unit", Value),
            ("quantity", Value),
            ("unit_price", Value),
            ("account", Value),
            ("taxes", List("account.tax")),
            ("description", Value),
            ("note", Value),
            ("origin", Value),
            ("amount", Computed),
        ],
    },
    Model { name: "account.invoice.payment.method", label: "Payment Method", fields: &[("name", Value)] },
    Model { name: "account.move", label: "Account Move", fields: &[("description", Value), ("origin", Value)] },
];
