//! Accounts of buyers.

use super::{
    api::{Answer, Call, Problem, created, invalid, missing, no_route, ok, page, problem},
    resource::{Fields, fields, filled, merge_meta},
    state::State,
};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

const PARTS: [&str; 10] =
    ["first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode", "country", "phone"];

impl State {
    /// The API below `/customers`.
    pub fn customers_api(&mut self, call: &Call, below: &[&str]) -> Result<Answer, Problem> {
        match (&call.method, below) {
            (&Method::GET, []) => self.list_customers(call),
            (&Method::POST, []) => {
                let id = self.add_customer(&call.body)?;
                Ok(created(self.customers[&id].clone()))
            }
            (method, [id]) => {
                let unknown = || problem(StatusCode::NOT_FOUND, "woocommerce_rest_invalid_id", "Invalid resource ID.");
                let id = id.parse().ok().filter(|id| self.customers.contains_key(id)).ok_or_else(unknown)?;
                match *method {
                    Method::GET => Ok(ok(self.customers[&id].clone())),
                    Method::PUT | Method::POST => self.write_customer(id, &call.body).map(|()| ok(self.customers[&id].clone())),
                    _ => Err(no_route()),
                }
            }
            _ => Err(no_route()),
        }
    }

    fn list_customers(&self, call: &Call) -> Result<Answer, Problem> {
        if let Some(role) = call.query("role").filter(|it| !matches!(*it, "all" | "customer" | "administrator" | "subscriber")) {
            return Err(invalid("role", &format!("role is not one of all, administrator, customer, subscriber: {role}")));
        }
        let email = call.query("email").map(str::to_lowercase);
        let fits = |it: &&Fields| email.as_ref().is_none_or(|email| filled(it, "email").as_ref() == Some(email));
        page(call, self.customers.values().filter(fits).cloned().collect(), &["id", "include", "name", "registered_date"])
    }

    pub fn add_customer(&mut self, sent: &Fields) -> Result<u64, Problem> {
        let Some(email) = filled(sent, "email") else { return Err(missing("email")) };
        let id = self.new_id();
        let nobody: Value = PARTS.iter().map(|part| ((*part).to_owned(), json!(""))).collect();
        let mut customer = fields(json!({
            "id": id, "email": "", "first_name": "", "last_name": "", "role": "customer", "billing": nobody, "shipping": nobody,
            "username": email.split('@').next(), "is_paying_customer": false, "avatar_url": "", "meta_data": [],
        }));
        self.stamp(&mut customer, "date_created");
        self.check_email(id, sent)?;
        self.customers.insert(id, customer);
        self.put_customer(id, sent);
        self.tell("customer.created", id);
        Ok(id)
    }

    fn write_customer(&mut self, id: u64, sent: &Fields) -> Result<(), Problem> {
        self.check_email(id, sent)?;
        self.put_customer(id, sent);
        self.tell("customer.updated", id);
        Ok(())
    }

    fn check_email(&self, id: u64, sent: &Fields) -> Result<(), Problem> {
        let Some(email) = filled(sent, "email").map(|it| it.to_lowercase()) else { return Ok(()) };
        if !email.contains('@') {
            return Err(invalid("email", "Invalid email address."));
        }
        let taken = self.customers.iter().any(|(other, it)| *other != id && filled(it, "email").as_ref() == Some(&email));
        if taken {
            let message = "An account is already registered with your email address.";
            return Err(problem(StatusCode::BAD_REQUEST, "registration-error-email-exists", message));
        }
        Ok(())
    }

    fn put_customer(&mut self, id: u64, sent: &Fields) {
        let Some(mut customer) = self.customers.remove(&id) else { return };
        for (name, value) in sent {
            match name.as_str() {
                "email" => {
                    customer.insert(name.clone(), value.as_str().unwrap_or_default().to_lowercase().into());
                }
                "first_name" | "last_name" => {
                    customer.insert(name.clone(), value.clone());
                }
                "billing" | "shipping" => {
                    for (part, value) in value.as_object().into_iter().flatten() {
                        customer[name.as_str()][part.as_str()] = value.clone();
                    }
                }
                "meta_data" => merge_meta(&mut customer, value, || self.new_id()),
                _ => {}
            }
        }
        self.stamp(&mut customer, "date_modified");
        self.customers.insert(id, customer);
    }
}
