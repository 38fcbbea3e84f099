//! How an order is placed: lines, discounts, taxes and shipping from a spec, then its webhooks and its stock.

use crate::shopify::{
    order::{Discount, Line, Order, Share, Shipping, Tax, Totals, Transaction},
    pricing::{Amount, Currencies, Reduction},
    rest,
    spec::OrderSpec,
    state::{Refused, State, refuse},
};
use rand::RngExt as _;
use rust_decimal::Decimal;

impl State {
    pub(crate) fn place(&mut self, spec: &OrderSpec) -> Result<u64, Refused> {
        let currencies = self.currencies(spec.presentment);
        let mut lines = Vec::new();
        for (sku, quantity) in &spec.lines {
            lines.push(self.new_line(sku, *quantity, &currencies, spec.taxes_included, false)?);
        }
        let mut discounts = Vec::new();
        for reduction in &spec.discounts {
            discount_lines(&mut lines, discounts.len(), *reduction, &currencies);
            discounts.push(self.new_discount(*reduction, false));
        }
        for line in &mut lines {
            let net = line.worth(line.quantity, &currencies).net;
            line.tax.amount = currencies.tax(net, line.tax.rate, spec.taxes_included);
        }
        let shipping = spec.shipping.map(|price| {
            let mut shipping = self.new_shipping(currencies.convert(price));
            if let Some(reduction) = spec.shipping_discount {
                let shares = currencies.spread(reduction, &[shipping.price]);
                let share = |amount| Share { discount: discounts.len(), amount };
                shipping.shares = shares.into_iter().map(share).collect();
                discounts.push(self.new_discount(reduction, true));
            }
            let net = shipping.worth().net;
            shipping.tax.amount = currencies.tax(net, shipping.tax.rate, spec.taxes_included);
            shipping
        });
        let id = self.new_order(spec, currencies, lines, discounts, shipping)?;
        self.announce_placed(id, spec.paid && !spec.pending)?;
        Ok(id)
    }

    fn new_order(
        &mut self,
        spec: &OrderSpec,
        currencies: Currencies,
        lines: Vec<Line>,
        discounts: Vec<Discount>,
        shipping: Option<Shipping>,
    ) -> Result<u64, Refused> {
        let now = self.now();
        let pick = self.rng.random_range(0..self.catalog.customers.len().max(1));
        let Some(customer) = self.catalog.customers.values_mut().nth(pick) else {
            return refuse("the shop has no customers");
        };
        customer.orders += 1;
        let customer = customer.clone();
        let mut order = Order {
            id: self.new_id(),
            number: self.new_number(),
            created_at: now,
            updated_at: now,
            cancelled_at: None,
            cancel_reason: None,
            customer: customer.id,
            email: customer.email,
            address: customer.address,
            taxes_included: spec.taxes_included,
            currencies,
            lines,
            shipping,
            discounts,
            tip: currencies.convert(spec.tip),
            placed: Totals::default(),
            transactions: Vec::new(),
            refunds: Vec::new(),
            fulfilments: Vec::new(),
            fulfilment_order: self.new_id(),
            note: None,
            tags: vec!["web".into()],
        };
        order.placed = order.totals(|line| line.quantity, order.shipping_left());
        let payment = Transaction {
            id: self.new_id(),
            parent_id: None,
            kind: if spec.paid || spec.pending { "sale" } else { "authorization" },
            status: if spec.pending { "pending" } else { "success" },
            gateway: spec.gateway.clone().unwrap_or_else(|| "bogus".into()),
            payment_id: spec.payment_reference.clone().unwrap_or_else(|| format!("{}.1", order.name())),
            amount: order.placed.total,
            processed_at: now,
        };
        if !payment.amount.is_zero() {
            order.transactions.push(payment);
        }
        let id = order.id;
        self.orders.insert(id, order);
        Ok(id)
    }

    fn announce_placed(&mut self, id: u64, paid: bool) -> Result<(), Refused> {
        let order = self.order(id)?;
        let body = rest::order(self, order);
        let mut topics = vec![("orders/create", body.clone())];
        if let Some(payment) = order.transactions.first() {
            topics.push(("order_transactions/create", rest::transaction(self, order, payment)));
        }
        if paid {
            topics.push(("orders/paid", body));
        }
        let sold: Vec<(u64, u32)> = order.lines.iter().map(|line| (line.inventory_item_id, line.quantity)).collect();
        self.event(Some(id), topics);
        for (item, quantity) in sold {
            self.move_stock(item, None, -i64::from(quantity), i64::from(quantity));
        }
        Ok(())
    }

    fn currencies(&self, presentment: bool) -> Currencies {
        let shop = self.options.currency;
        match self.options.presentment {
            Some((presentment_currency, rate)) if presentment => Currencies { shop, presentment: presentment_currency, rate },
            _ => Currencies { shop, presentment: shop, rate: Decimal::ONE },
        }
    }

    pub(crate) fn new_line(
        &mut self,
        sku: &str,
        quantity: u32,
        currencies: &Currencies,
        taxes_included: bool,
        added_by_edit: bool,
    ) -> Result<Line, Refused> {
        let (id, fulfilment_order_line) = (self.new_id(), self.new_id());
        let Some((product, variant)) = self.catalog.variant_of_sku(sku) else {
            return refuse(format!("there is no variant with SKU {sku:?}"));
        };
        if quantity == 0 {
            return refuse(format!("quantity of {sku:?} must be at least 1"));
        }
        let unit_price = currencies.convert(variant.price);
        let amount = currencies.tax(unit_price.times(quantity), variant.tax_rate, taxes_included);
        Ok(Line {
            id,
            fulfilment_order_line,
            product_id: product.id,
            variant_id: variant.id,
            inventory_item_id: variant.inventory_item_id,
            sku: variant.sku.clone(),
            title: product.title.clone(),
            variant_title: variant.title.clone(),
            vendor: product.vendor.clone(),
            grams: variant.grams,
            unit_price,
            quantity,
            current: quantity,
            fulfilled: 0,
            shares: Vec::new(),
            tax: Tax { rate: variant.tax_rate, amount },
            added_by_edit,
        })
    }

    fn new_discount(&mut self, reduction: Reduction, on_shipping: bool) -> Discount {
        let code = self.rng.random_bool(0.5).then(|| format!("KODE{}", self.rng.random_range(10..99)));
        let title = match (&code, on_shipping) {
            (Some(code), _) => code.clone(),
            (None, true) => "Fraktrabatt".into(),
            (None, false) => "Kampanje".into(),
        };
        Discount { code, title, reduction, on_shipping }
    }

    fn new_shipping(&mut self, price: Amount) -> Shipping {
        Shipping {
            id: self.new_id(),
            code: "HJEM".into(),
            title: "Hjemlevering".into(),
            price,
            shares: Vec::new(),
            tax: Tax { rate: Decimal::new(25, 2), amount: Amount::ZERO },
        }
    }
}

fn discount_lines(lines: &mut [Line], discount: usize, reduction: Reduction, currencies: &Currencies) {
    let left: Vec<Amount> = lines.iter().map(|line| line.worth(line.quantity, currencies).net).collect();
    for (line, amount) in lines.iter_mut().zip(currencies.spread(reduction, &left)) {
        line.shares.push(Share { discount, amount });
    }
}
