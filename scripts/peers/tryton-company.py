"""Makes the company of a fresh Tryton: books in NOK, a chart of accounts, two fiscal years, a tax of 25 %."""

import datetime as dt
import sys
from decimal import Decimal

from proteus import Model, config

config.set_trytond(database='hub', config_file=sys.argv[1])

from trytond.modules.account.tests.tools import (  # noqa: E402
    create_chart, create_fiscalyear, create_tax, get_accounts)
from trytond.modules.account_invoice.tests.tools import (  # noqa: E402
    create_payment_term, set_fiscalyear_invoice_sequences)
from trytond.modules.company.tests.tools import (  # noqa: E402
    create_company, get_company)

today = dt.date.today()
Currency = Model.get('currency.currency')
currency = Currency(name='Norwegian Krone', symbol='kr', code='NOK', rounding=Decimal('0.01'))
currency.save()
currency.rates.new(date=dt.date(today.year, 1, 1), rate=Decimal(1))
currency.save()
create_company(currency=currency)
company = get_company()
for day in (today, today.replace(year=today.year + 1, day=1)):
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company, today=day))
    year.click('create_period')
create_chart(company)
accounts = get_accounts(company)
# What payments in another currency gain and lose.
Configuration = Model.get('account.configuration')
configuration = Configuration(1)
configuration.currency_exchange_debit_account = accounts['expense']
configuration.currency_exchange_credit_account = accounts['revenue']
configuration.save()
tax = create_tax(Decimal('.25'))
tax.save()
create_payment_term().save()
Category = Model.get('product.category')
goods = Category(
    name='Goods', accounting=True,
    account_expense=accounts['expense'], account_revenue=accounts['revenue'])
goods.customer_taxes.append(tax)
goods.save()
