// An Express app behind the example's middleware; it responds as tests/expect_release_apps.py do.
'use strict';

const express = require('express');
const expectRelease = require('../examples/expect_release_express.js');

const { EXAMPLE_RELEASE: release, EXAMPLE_COMMIT: commit, PORT } = process.env;
const app = express();
app.use(expectRelease({ release, commit }));
app.use(express.text({ type: '*/*' }));
app.use((req, res) => res.type('text/plain').send(`${release} ${req.body ?? ''}`));
app.listen(Number(PORT), '127.0.0.1');
