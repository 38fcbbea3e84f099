//! The entity sets of API v2.0, as far as they are simulated: which properties there are, of which kind, and which may be written.

use super::state::{Record, Refusal};
use serde_json::{Value, json};
use uuid::Uuid;

/// `name:kind`; kinds are `c20` (code of 20), `t50` (text), `d` (decimal), `i` (integer), `b` (boolean), `y` (day), `z` (moment),
/// `g` (GUID); `!` is read-only.
pub(super) struct Set {
    pub name: &'static str,
    /// Of one of them.
    pub single: &'static str,
    fields: &'static [&'static str],
    /// The set of its lines.
    pub lines: Option<&'static str>,
    /// Of lines: the set above, and the property that names the one there.
    pub above: Option<(&'static str, &'static str)>,
    /// Any of `POST PATCH DELETE`; all can be read.
    pub methods: &'static str,
    /// Whether subscriptions to it are possible.
    pub is_told: bool,
}

const HEADER: &str = "id:g! number:c20 externalDocumentNumber:c35 postingDate:y customerId:g customerNumber:c20 customerName:t100! \
    billToName:t100 billToCustomerId:g billToCustomerNumber:c20 sellToAddressLine1:t100 sellToAddressLine2:t50 sellToCity:t30 \
    sellToCountry:c10 sellToState:t30 sellToPostCode:c20 currencyCode:c10 pricesIncludeTax:b! lastModifiedDateTime:z! \
    phoneNumber:t30 email:t80";
const SHIP_TO: &str = "shipToName:t100 shipToContact:t100 shipToAddressLine1:t100 shipToAddressLine2:t50 shipToCity:t30 \
    shipToCountry:c10 shipToState:t30 shipToPostCode:c20";
const TOTALS: &str = "discountAmount:d totalAmountExcludingTax:d! totalTaxAmount:d! totalAmountIncludingTax:d! status:t20!";
const LINE: &str = "id:g! documentId:g sequence:i itemId:g accountId:g lineType:t20 lineObjectNumber:c20 description:t100 \
    description2:t50 unitOfMeasureCode:c10 quantity:d unitPrice:d discountAmount:d discountPercent:d amountExcludingTax:d! \
    taxCode:c20 taxPercent:d! totalTaxAmount:d! amountIncludingTax:d! netAmount:d! netTaxAmount:d! netAmountIncludingTax:d! \
    shippedQuantity:d! invoicedQuantity:d!";

pub(super) const SETS: &[Set] = &[
    Set {
        name: "customers",
        single: "customer",
        fields: &[
            "id:g! number:c20 displayName:t100 type:t10 addressLine1:t100 addressLine2:t50 city:t30 state:t30 country:c10 \
            postalCode:c20 phoneNumber:t30 email:t80 website:t80 balanceDue:d! creditLimit:d taxLiable:b taxRegistrationNumber:t20 \
            currencyCode:c10 blocked:t10 lastModifiedDateTime:z!",
        ],
        lines: None,
        above: None,
        methods: "POST PATCH DELETE",
        is_told: true,
    },
    Set {
        name: "items",
        single: "item",
        fields: &["id:g! number:c20 displayName:t100 displayName2:t50 type:t20 blocked:b gtin:c14 inventory:d! unitPrice:d \
            priceIncludesTax:b unitCost:d taxGroupCode:c20 baseUnitOfMeasureCode:c10 lastModifiedDateTime:z!"],
        lines: None,
        above: None,
        methods: "PATCH",
        is_told: true,
    },
    document(
        "salesOrders",
        "salesOrder",
        "salesOrderLines",
        "POST PATCH DELETE",
        &[HEADER, SHIP_TO, TOTALS, "orderDate:y requestedDeliveryDate:y partialShipping:b fullyShipped:b!"],
    ),
    lines("salesOrderLines", "salesOrderLine", "salesOrders", "POST PATCH DELETE"),
    document(
        "salesInvoices",
        "salesInvoice",
        "salesInvoiceLines",
        "",
        &[HEADER, SHIP_TO, TOTALS, "invoiceDate:y dueDate:y orderId:g! orderNumber:c20! remainingAmount:d!"],
    ),
    lines("salesInvoiceLines", "salesInvoiceLine", "salesInvoices", ""),
    document(
        "salesCreditMemos",
        "salesCreditMemo",
        "salesCreditMemoLines",
        "POST PATCH DELETE",
        &[HEADER, TOTALS, "creditMemoDate:y dueDate:y invoiceId:g invoiceNumber:c20"],
    ),
    lines("salesCreditMemoLines", "salesCreditMemoLine", "salesCreditMemos", "POST PATCH DELETE"),
    Set {
        is_told: false,
        ..document("salesShipments", "salesShipment", "salesShipmentLines", "", &[HEADER, SHIP_TO, "orderNumber:c20!"])
    },
    lines("salesShipmentLines", "salesShipmentLine", "salesShipments", ""),
    Set {
        name: "customerPaymentJournals",
        single: "customerPaymentJournal",
        fields: &["id:g! code:c10 displayName:t100 lastModifiedDateTime:z! balancingAccountId:g balancingAccountNumber:c20"],
        lines: Some("customerPayments"),
        above: None,
        methods: "",
        is_told: true,
    },
    Set {
        name: "customerPayments",
        single: "customerPayment",
        fields: &["id:g! journalId:g journalDisplayName:t100! lineNumber:i customerId:g customerNumber:c20 postingDate:y \
            documentNumber:c20 externalDocumentNumber:c35 amount:d appliesToInvoiceId:g appliesToInvoiceNumber:c20 \
            description:t100 comment:t250 lastModifiedDateTime:z!"],
        lines: None,
        above: Some(("customerPaymentJournals", "journalId")),
        methods: "POST PATCH DELETE",
        is_told: false,
    },
    Set {
        name: "itemLedgerEntries",
        single: "itemLedgerEntry",
        fields: &["id:g! entryNumber:i! itemNumber:c20! postingDate:y! entryType:t30! documentNumber:c20! description:t100! \
            quantity:d! lastModifiedDateTime:z!"],
        lines: None,
        above: None,
        methods: "",
        is_told: false,
    },
    Set {
        name: "generalLedgerEntries",
        single: "generalLedgerEntry",
        fields: &[
            "id:g! entryNumber:i! postingDate:y! documentNumber:c20! documentType:t20! accountNumber:c20! description:t100! \
            debitAmount:d! creditAmount:d! lastModifiedDateTime:z!",
        ],
        lines: None,
        above: None,
        methods: "",
        is_told: true,
    },
];

const fn document(
    name: &'static str,
    single: &'static str,
    lines: &'static str,
    methods: &'static str,
    fields: &'static [&'static str],
) -> Set {
    Set { name, single, fields, lines: Some(lines), above: None, methods, is_told: true }
}

const fn lines(name: &'static str, single: &'static str, above: &'static str, methods: &'static str) -> Set {
    Set { name, single, fields: &[LINE], lines: None, above: Some((above, "documentId")), methods, is_told: false }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code(usize),
    Text(usize),
    Decimal,
    Integer,
    Boolean,
    Day,
    Moment,
    Guid,
}

pub(super) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    read_only: bool,
}

/// A set by its name; sets that are not simulated look like ones that do not exist.
pub(super) fn set(name: &str) -> Result<&'static Set, Refusal> {
    let missing = || Refusal::new(404, "BadRequest_ResourceNotFound", format!("Resource not found for the segment '{name}'."));
    SETS.iter().find(|it| it.name == name).ok_or_else(missing)
}

impl Set {
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        self.fields.iter().flat_map(|it| it.split_whitespace()).filter_map(|text| {
            let (name, kind) = text.split_once(':')?;
            let (kind, read_only) = (kind.trim_end_matches('!'), kind.ends_with('!'));
            let length = kind[1..].parse().unwrap_or_default();
            let kind = match kind.as_bytes()[0] {
                b'c' => Kind::Code(length),
                b't' => Kind::Text(length),
                b'd' => Kind::Decimal,
                b'i' => Kind::Integer,
                b'b' => Kind::Boolean,
                b'y' => Kind::Day,
                b'z' => Kind::Moment,
                _ => Kind::Guid,
            };
            Some(Field { name, kind, read_only })
        })
    }

    pub(super) fn field(&self, name: &str) -> Result<Field, Refusal> {
        self.fields().find(|it| it.name == name).ok_or_else(|| {
            let problem = format!("Could not find a property named '{name}' on type 'Microsoft.NAV.{}'.", self.single);
            Refusal::new(400, "BadRequest", problem)
        })
    }

    /// Empty values, as the vendor shows them.
    pub(super) fn blank(&self) -> Record {
        let value = |kind| match kind {
            Kind::Code(_) | Kind::Text(_) => json!(""),
            Kind::Decimal | Kind::Integer => json!(0),
            Kind::Boolean => json!(false),
            Kind::Day => json!("0001-01-01"),
            Kind::Moment => json!("0001-01-01T00:00:00Z"),
            Kind::Guid => json!(Uuid::nil()),
        };
        self.fields().map(|it| (it.name.to_owned(), value(it.kind))).collect()
    }

    /// What a caller wants to write; codes come out in capitals.
    pub(super) fn checked(&self, sent: &Record) -> Result<Record, Refusal> {
        let mut fields = Record::new();
        for (name, value) in sent {
            if name.contains("@odata.") || self.lines == Some(name.as_str()) {
                continue;
            }
            let unknown = || {
                let problem = format!("The property '{name}' does not exist on type 'Microsoft.NAV.{}'.", self.single);
                Refusal::new(400, "BadRequest", problem)
            };
            let field = self.field(name).map_err(|_| unknown())?;
            if field.read_only {
                return Err(Refusal::new(400, "BadRequest_InvalidOperation", format!("Control '{name}' is read-only")));
            }
            fields.insert(name.clone(), field.checked(value)?);
        }
        Ok(fields)
    }
}

impl Field {
    fn checked(&self, value: &Value) -> Result<Value, Refusal> {
        let wrong = |kind| {
            let problem = format!("Cannot convert a value to target type 'Edm.{kind}' for property '{}'.", self.name);
            Refusal::new(400, "BadRequest", problem)
        };
        let text = |kind| value.as_str().ok_or_else(|| wrong(kind));
        match self.kind {
            Kind::Code(longest) => fitting(text("String")?.trim(), longest).map(|it| json!(it.to_uppercase())),
            Kind::Text(longest) => fitting(text("String")?, longest).map(|it| json!(it)),
            Kind::Decimal if value.is_number() => Ok(value.clone()),
            Kind::Decimal => Err(wrong("Decimal")),
            Kind::Integer if value.is_i64() => Ok(value.clone()),
            Kind::Integer => Err(wrong("Int32")),
            Kind::Boolean if value.is_boolean() => Ok(value.clone()),
            Kind::Boolean => Err(wrong("Boolean")),
            Kind::Day => text("Date")?.parse::<jiff::civil::Date>().map(|it| json!(it)).map_err(|_| wrong("Date")),
            Kind::Moment => {
                text("DateTimeOffset")?.parse::<jiff::Timestamp>().map(|it| json!(it)).map_err(|_| wrong("DateTimeOffset"))
            }
            Kind::Guid => text("Guid")?.parse::<Uuid>().map(|it| json!(it)).map_err(|_| wrong("Guid")),
        }
    }
}

fn fitting(text: &str, longest: usize) -> Result<&str, Refusal> {
    let length = text.chars().count();
    if length <= longest {
        return Ok(text);
    }
    let problem =
        format!("The length of the string is {length}, but it must be less than or equal to {longest} characters. Value: {text}");
    Err(Refusal::new(400, "Application_StringExceededLength", problem))
}
