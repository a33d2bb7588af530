// An Express app that knows nothing of PetSage; its environment names its release, or does not.
'use strict';

const express = require('express');

const { APP_RELEASE: version, PORT } = process.env;
const app = express();
app.get('/info', (req, res) => res.json({ status: 'up', build: { name: 'shop', version } }));
app.listen(Number(PORT), '127.0.0.1');
